/** One accepted request: its sequence, its parser, and the stream of events to its reader. */
import type { FinishReason, SamplingParameters } from './api.ts';
import type { EngineError } from './errors.ts';
import { EventStream, type EventStreamOptions } from './event-stream.ts';
import type { OutputParser } from './output/parser.ts';
import type { SampledToken } from './sample.ts';
import type { Sequence } from './sequence.ts';
import type { Exchange } from './sessions/exchange.ts';

export interface RunningOptions extends EventStreamOptions {
  readonly seed: number;
  readonly exchange: Exchange;
}

export class Running {
  readonly sequence: Sequence;
  readonly sampling: SamplingParameters;
  readonly seed: number;
  readonly events: EventStream;
  /** What the request's session is told. */
  readonly #exchange: Exchange;
  /** Bytes of the answer that are not whole UTF-8 yet. */
  pending: Uint8Array = new Uint8Array();
  readonly #parser: OutputParser;
  #hasStarted = false;
  #completionTokens = 0;

  constructor(sequence: Sequence, sampling: SamplingParameters, parser: OutputParser, options: RunningOptions) {
    this.sequence = sequence;
    this.sampling = sampling;
    this.seed = options.seed;
    this.events = new EventStream(options);
    this.#exchange = options.exchange;
    this.#parser = parser;
  }

  /** The sequence runs for the first time: what there was of its prompt is known. */
  begin(): void {
    if (this.sequence.report) this.#exchange.found(this.sequence.report);
  }

  /** Says `start`, the first time: when the prompt is computed, so that a failure before it is no half answer. */
  start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const { numPromptTokens: promptTokens, cachedTokens = 0 } = this.sequence;
    const { report } = this.#exchange;
    this.events.push({ type: 'start', promptTokens, cachedTokens, ...(report ? { cache: report } : {}) });
  }

  /** Says what the token adds. Returns why the answer is over, if it is. */
  accept(token: SampledToken): FinishReason | undefined {
    this.start();
    if (token.endOfTurn) return 'stop';
    this.#completionTokens++;
    this.pending = token.pending;
    for (const event of this.#parser.push(token.text, token.logprobs)) this.events.push(event);
    if (this.#parser.stopSequence !== undefined) return 'stop_sequence';
    return this.sequence.numGenerated >= this.sequence.maxTokens ? 'length' : undefined;
  }

  /** @param rest the text of bytes that never became whole UTF-8 */
  finish(reason: FinishReason, rest: string): void {
    this.start();
    const { stopSequence } = this.#parser;
    if (stopSequence === undefined) {
      for (const event of this.#parser.flush(rest)) this.events.push(event);
    }
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
