/** What a dialect is: it reads a body into generation requests, and writes events, answers and errors its own way. */
import type { z } from 'zod';
import type {
  ChosenLogprob,
  Embeddings,
  GenerationEvent,
  GenerationRequest,
  ModelDescription,
  Prompt,
  PromptLogprobs,
  Tokenization,
} from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import type { SchemaName } from '../openapi/schemas/index.ts';
import type { OwnResponses } from '../responses/response-record.ts';

/** What a dialect may know beside the body. */
export interface ParseContext {
  readonly model: ModelDescription;
  /** The `x-request-id` of the answer. */
  readonly requestId: string;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly tokenizer: Pick<Tokenization, 'detokenize'>;
  /** The request's `anthropic-version`; given only where the server is to refuse what that version refuses. */
  readonly strictVersion?: string;
  /** The caller's stored responses; absent: none are kept. */
  readonly responses?: OwnResponses;
}

export type FinishEvent = Extract<GenerationEvent, { type: 'finish' }>;

/** A piece of an answer. A call's arguments are JSON text, perhaps cut off when the answer met a limit. */
export type AnswerPart =
  | { readonly type: 'text' | 'reasoning'; readonly text: string }
  | { readonly type: 'tool_call'; readonly id: string; readonly name: string; readonly arguments: string };

/** What went wrong without ending the answer. */
export type AnswerWarning = Pick<Extract<GenerationEvent, { type: 'warning' }>, 'code' | 'message'>;

/** One whole answer: its parts in the order they were made, neighbouring texts of one kind joined. */
export interface Answer {
  readonly parts: readonly AnswerPart[];
  readonly warnings: readonly AnswerWarning[];
  /** Of the text's tokens, not of the reasoning's; empty unless asked for. */
  readonly logprobs: readonly ChosenLogprob[];
  /** Where they were asked for. */
  readonly promptLogprobs?: PromptLogprobs;
  readonly finish: FinishEvent;
}

/**
 * One frame of a stream, whatever carries it. `data` and `event` hold the dialect's own event object, the latter with
 * its type as the name of the server-sent event; comments and `done` (`[DONE]`) mean something over SSE alone.
 */
export type Frame =
  | { readonly kind: 'data'; readonly payload: object }
  | { readonly kind: 'event'; readonly payload: EventPayload }
  | { readonly kind: 'comment'; readonly text: string }
  | { readonly kind: 'done' };

export interface EventPayload {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Turns the events of one request into frames of a stream. Every method returns what to send, perhaps nothing. */
export interface Encoder {
  /** As soon as the request is accepted: whatever can be said before the engine says anything, so that the head leaves. */
  begin(): readonly Frame[] | Promise<readonly Frame[]>;
  event(choice: number, event: GenerationEvent): readonly Frame[];
  /** After the last event of every choice. */
  end(): readonly Frame[] | Promise<readonly Frame[]>;
  /** Instead of `end`: what went wrong after the head had left, or that the client has. */
  failure(error: EngineError): readonly Frame[] | Promise<readonly Frame[]>;
  /** Keeps a silent stream alive. */
  ping(): readonly Frame[];
}

/** What a body says of its session and its cache. */
export interface BodyHints {
  /** Not checked yet; which of them count is the server's choice. */
  readonly sessions?: Readonly<Record<string, string | null | undefined>>;
  /** Seconds for which the prompt's KV is to be kept before others'. */
  readonly pinSeconds?: number | undefined;
}

/** How work that goes on without its client is found again. */
export interface Background {
  readonly id: string;
  /** The body for a client that reads no stream, when the work is accepted. */
  readonly begun: () => object;
}

/** A parsed request for one answer or several. */
export interface GenerateExchange {
  readonly kind: 'generate';
  readonly hints?: BodyHints;
  /** One for each choice; those of one prompt are neighbours. */
  readonly requests: readonly GenerationRequest[];
  /** How many of them share a prompt; absent: all. */
  readonly choicesPerPrompt?: number;
  readonly stream: boolean;
  /** Present: it goes on when its client has left. */
  readonly background?: Background;
  /** Aborting it ends the answer early, as if the client had left. */
  readonly signal?: AbortSignal;
  /** The same with a shorter prompt, after the engine has refused this one; undefined: there is none. */
  shorter?(error: EngineError): GenerateExchange | undefined;
  /** What the engine refuses one of the requests with, told of the body's own fields; absent: as it is. */
  explain?(error: EngineError): EngineError;
  encoder(): Encoder;
  /** The body of the whole answer. `answers` has one entry for each of `requests`. */
  response(answers: readonly Answer[]): object | Promise<object>;
}

/** A parsed request for a number of tokens. */
export interface CountExchange {
  readonly kind: 'count';
  readonly prompt: Prompt;
  response(numTokens: number): object;
}

/** A parsed request for embeddings. */
export interface EmbedExchange {
  readonly kind: 'embed';
  readonly prompts: readonly Prompt[];
  readonly dimensions?: number;
  response(embeddings: Embeddings): object;
}

export type Exchange = GenerateExchange | CountExchange | EmbedExchange;

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

/** What the API's description says of a route. */
export interface RouteOperation {
  /** What programs call it: `createMessage`. */
  readonly id: string;
  /** One line for people. */
  readonly summary: string;
  /** The schema of the whole answer; absent: it always refuses. */
  readonly answer?: SchemaName;
  /** Of the events of a streamed answer; absent: it does not stream. */
  readonly events?: SchemaName;
}

export interface DialectRoute {
  /** Answered on POST. */
  readonly path: string;
  /** For the API's description. */
  readonly operation: RouteOperation;
  /** What `parse` checks the body against; the API's description shows it. */
  readonly body: z.ZodType;
  /** @throws EngineError invalid_request, not_supported, model_not_found */
  parse(body: unknown, context: ParseContext): Exchange | Promise<Exchange>;
}

export interface Dialect {
  readonly name: string;
  /** Whose envelope its errors have. */
  readonly vendor: 'openai' | 'anthropic';
  readonly routes: readonly DialectRoute[];
  /** Headers of every answer. `elapsedMs`: from the request's arrival. */
  headers(elapsedMs: number): Readonly<Record<string, string>>;
  error(error: EngineError, requestId: string): ErrorAnswer;
}
