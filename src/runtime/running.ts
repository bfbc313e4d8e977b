/** One accepted request: its sequence, its parser, and the stream of events to its reader. */

import type { AllowedTokens } from '../workers/pool.ts';
import type { FinishReason, SamplingParameters } from './api.ts';
import type { Constraint } from './constraint.ts';
import type { EngineError } from './errors.ts';
import { EventStream, type EventStreamOptions } from './event-stream.ts';
import type { OutputParser } from './output/parser.ts';
import type { PromptScore } from './prompt-score.ts';
import type { SampledToken, TokenLookup } from './sample.ts';
import type { Sequence } from './sequence.ts';
import type { Exchange } from './sessions/exchange.ts';

export interface RunningOptions extends EventStreamOptions {
  readonly seed: number;
  readonly exchange: Exchange;
  /** Absent: the answer is free. Closed by who made it. */
  readonly constraint?: Constraint | undefined;
  /** Absent: reasoning may fill the answer. */
  readonly reasoningBudget?: ReasoningBudget | undefined;
  /** Absent: nobody asks how probable the prompt is. */
  readonly score?: PromptScore | undefined;
}

export interface ReasoningBudget {
  readonly maxTokens: number;
  /** What closes the reasoning. */
  readonly closingTokenIds: readonly number[];
}

/** What is known of an answer's next token before its logits are looked at. */
export interface NextKnown {
  /** Nothing can follow. */
  readonly isOver?: true;
  readonly allowed?: AllowedTokens;
  /** Present where `allowed` is to be looked up. */
  readonly lookup?: TokenLookup;
  /** At least one token, at most as many as the answer has room for. */
  readonly forced?: readonly number[];
}

export class Running {
  readonly sequence: Sequence;
  readonly sampling: SamplingParameters;
  readonly seed: number;
  readonly events: EventStream;
  readonly constraint: Constraint | undefined;
  /** Undefined once it has been told. */
  score: PromptScore | undefined;
  readonly #reasoningBudget: ReasoningBudget | undefined;
  /** The tokens to come next were forced by the grammar, which knows of them. */
  #isForced = false;
  /** What the request's session is told. */
  readonly #exchange: Exchange;
  /** Bytes of the answer that are not whole UTF-8 yet. */
  pending: Uint8Array = new Uint8Array();
  readonly #parser: OutputParser;
  #completionTokens = 0;

  constructor(sequence: Sequence, sampling: SamplingParameters, parser: OutputParser, options: RunningOptions) {
    this.sequence = sequence;
    this.sampling = sampling;
    this.seed = options.seed;
    this.events = new EventStream(options);
    this.#exchange = options.exchange;
    this.constraint = options.constraint;
    this.score = options.score;
    this.#reasoningBudget = options.reasoningBudget;
    this.#parser = parser;
  }

  /** The sequence runs for the first time, and what there was of its prompt is known: says `start`, before the rest is computed. */
  begin(): void {
    const { numPromptTokens: promptTokens, cachedTokens = 0, report: found } = this.sequence;
    if (found) this.#exchange.found(found);
    const { report } = this.#exchange;
    this.events.push({ type: 'start', promptTokens, cachedTokens, ...(report ? { cache: report } : {}) });
  }

  /** What may or must come next. @throws EngineError internal */
  async next(): Promise<NextKnown> {
    const known = await this.constraint?.next;
    this.#isForced = known?.forced !== undefined;
    const forced = known?.forced ?? this.#closing();
    const room = this.sequence.maxTokens - this.sequence.numGenerated;
    if (forced) return { forced: forced.slice(0, room) };
    if (known === undefined) return {};
    if (known.isOver) return { isOver: true };
    return known.tokens ? { allowed: known.tokens } : { lookup: this.constraint! };
  }

  /** What ends reasoning that has used up its budget. */
  #closing(): readonly number[] | undefined {
    if (this.#reasoningBudget === undefined || !this.#parser.isReasoning) return undefined;
    const { maxTokens, closingTokenIds } = this.#reasoningBudget;
    return this.#parser.reasoningTokens >= maxTokens ? closingTokenIds : undefined;
  }

  /** Whether a token would spoil a call whose name the reader has: what a grammar holds needs no such look. */
  refuses({ text, tokenId, endOfTurn, pending }: SampledToken): boolean {
    if (this.constraint !== undefined) return false;
    return this.#parser.breaksCall(text, { tokenId, endOfTurn, hasPending: pending.length > 0 });
  }

  /** Says what the token and those behind it add. Returns why the answer is over, if it is. */
  accept(token: SampledToken): FinishReason | undefined {
    const tokens = [token, ...(token.followers ?? [])];
    for (const each of tokens) {
      if (each.endOfTurn) return 'stop';
      this.#completionTokens++;
      this.pending = each.pending;
      for (const event of this.#parser.push(each.text, each)) this.events.push(event);
      if (this.#parser.stopSequence !== undefined) return 'stop_sequence';
    }
    if (this.sequence.numGenerated >= this.sequence.maxTokens) return 'length';
    if (this.#isForced) this.constraint?.acceptForced();
    else this.constraint?.accept(tokens.map(({ tokenId }) => tokenId));
    return undefined;
  }

  /** @param rest the text of bytes that never became whole UTF-8 */
  finish(ending: FinishReason, rest: string): void {
    const { stopSequence } = this.#parser;
    if (stopSequence === undefined) {
      for (const event of this.#parser.flush(rest, ending === 'length')) this.events.push(event);
    }
    const reason = ending === 'stop' && this.#parser.numCalls > 0 ? 'tool_calls' : ending;
    const { numPromptTokens: promptTokens, cachedTokens = 0 } = this.sequence;
    this.events.push({
      type: 'finish',
      reason,
      ...(stopSequence === undefined ? {} : { stopSequence }),
      usage: {
        promptTokens,
        cachedTokens,
        completionTokens: this.#completionTokens,
        reasoningTokens: this.#parser.reasoningTokens,
      },
    });
    this.events.end();
    this.#exchange.finish(this.sequence.tokenIds, this.#parser.reasoningTokens > 0);
  }

  fail(error: EngineError): void {
    this.events.fail(error);
  }
}
