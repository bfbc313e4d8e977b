/** What a dialect is: it reads a body into generation requests, and writes events, answers and errors its own way. */
import type { ChosenLogprob, GenerationEvent, GenerationRequest, ModelDescription, Prompt } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';

/** What a dialect may know beside the body. */
export interface ParseContext {
  readonly model: ModelDescription;
  /** The `x-request-id` of the answer. */
  readonly requestId: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

export type FinishEvent = Extract<GenerationEvent, { type: 'finish' }>;

/** One whole answer: its text in the order it was made, neighbours of one kind joined. */
export interface Answer {
  readonly parts: readonly { readonly type: 'text' | 'reasoning'; readonly text: string }[];
  /** Of the text's tokens, not of the reasoning's; empty unless asked for. */
  readonly logprobs: readonly ChosenLogprob[];
  readonly finish: FinishEvent;
}

/** Turns the events of one request into frames of a stream. Every method returns text to send, perhaps none. */
export interface Encoder {
  /** As soon as the request is accepted: whatever can be said before the engine says anything, so that the head leaves. */
  begin(): string;
  event(choice: number, event: GenerationEvent): string;
  /** After the last event of every choice. */
  end(): string;
  /** Instead of `end`: what went wrong after the head had left. */
  failure(error: EngineError): string;
  /** Keeps a silent stream alive. */
  ping(): string;
}

/** What a body says of its session and its cache. */
export interface BodyHints {
  /** Not checked yet; which of them count is the server's choice. */
  readonly sessions?: Readonly<Record<string, string | null | undefined>>;
  /** Seconds for which the prompt's KV is to be kept before others'. */
  readonly pinSeconds?: number | undefined;
}

/** A parsed request for one answer or several. */
export interface GenerateExchange {
  readonly kind: 'generate';
  readonly hints?: BodyHints;
  /** One for each choice. */
  readonly requests: readonly GenerationRequest[];
  readonly stream: boolean;
  encoder(): Encoder;
  /** The body of the whole answer. `answers` has one entry for each of `requests`. */
  response(answers: readonly Answer[]): object;
}

/** A parsed request for a number of tokens. */
export interface CountExchange {
  readonly kind: 'count';
  readonly prompt: Prompt;
  response(numTokens: number): object;
}

export type Exchange = GenerateExchange | CountExchange;

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export interface DialectRoute {
  /** Answered on POST. */
  readonly path: string;
  /** @throws EngineError invalid_request, not_supported, model_not_found */
  parse(body: unknown, context: ParseContext): Exchange;
}

export interface Dialect {
  readonly name: string;
  readonly routes: readonly DialectRoute[];
  /** Headers of every answer. `elapsedMs`: from the request's arrival. */
  headers(elapsedMs: number): Readonly<Record<string, string>>;
  error(error: EngineError, requestId: string): ErrorAnswer;
}
