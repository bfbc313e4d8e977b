/** Anthropic's stream of events. Blocks are contiguous, and one is open at a time. */
import type { GenerationEvent } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import { anthropicError } from './anthropic-error.ts';
import {
  callBlock,
  type MessageHead,
  messageHead,
  signatureOf,
  stopOf,
  usageCounts,
  warningsField,
  wholeUsage,
} from './anthropic-message.ts';
import type { AnswerWarning, Encoder, EventPayload, FinishEvent, Frame } from './dialect.ts';

type OpenBlock = 'text' | 'reasoning' | 'tool_call';

const frame = (payload: EventPayload): Frame => ({ kind: 'event', payload });

export class MessageEncoder implements Encoder {
  readonly #head: MessageHead;
  #open: OpenBlock | undefined;
  #index = -1;
  /** Of the open block. */
  #thought = '';
  readonly #warnings: AnswerWarning[] = [];

  constructor(head: MessageHead) {
    this.#head = head;
  }

  /** Nothing: the first event tells how much of the prompt was cached, which only the engine's start knows. */
  begin(): readonly Frame[] {
    return [];
  }

  event(_choice: number, event: GenerationEvent): readonly Frame[] {
    switch (event.type) {
      case 'start':
        return this.#start(event.promptTokens, event.cachedTokens);
      case 'prompt_logprobs':
        return [];
      case 'text':
      case 'reasoning':
        return this.#text(event.type, event.text);
      case 'tool_call_start':
        return [...this.#closeBlock(), this.#openBlock('tool_call', callBlock(event))];
      case 'tool_call_arguments':
        return event.text === '' ? [] : [this.#delta({ type: 'input_json_delta', partial_json: event.text })];
      case 'tool_call_end':
        return this.#closeBlock();
      case 'warning':
        this.#warnings.push({ code: event.code, message: event.message });
        return event.index === undefined ? [] : this.#closeBlock();
      case 'finish':
        return [...this.#closeBlock(), this.#finish(event)];
    }
  }

  end(): readonly Frame[] {
    return [frame({ type: 'message_stop' })];
  }

  failure(error: EngineError): readonly Frame[] {
    return [frame(anthropicError(error, this.#head.requestId).body)];
  }

  ping(): readonly Frame[] {
    return [frame({ type: 'ping' })];
  }

  #start(promptTokens: number, cachedTokens: number): readonly Frame[] {
    const usage = wholeUsage({ promptTokens, cachedTokens, completionTokens: 0, reasoningTokens: 0 }, this.#head);
    const unfinished = { stop_reason: null, stop_sequence: null, stop_details: null, container: null };
    const message = { ...messageHead(this.#head), ...unfinished, usage };
    return [frame({ type: 'message_start', message }), ...this.ping()];
  }

  #text(type: 'text' | 'reasoning', text: string): readonly Frame[] {
    if (text === '') return [];
    const isText = type === 'text';
    const block = isText
      ? { type: 'text', text: '', citations: [] }
      : { type: 'thinking', thinking: '', signature: '' };
    const opening = this.#open === type ? [] : [...this.#closeBlock(), this.#openBlock(type, block)];
    if (isText) return [...opening, this.#delta({ type: 'text_delta', text })];
    this.#thought += text;
    return this.#head.omitsThinking ? opening : [...opening, this.#delta({ type: 'thinking_delta', thinking: text })];
  }

  #openBlock(type: OpenBlock, block: object): Frame {
    this.#open = type;
    this.#index++;
    this.#thought = '';
    return frame({ type: 'content_block_start', index: this.#index, content_block: block });
  }

  #delta(delta: object): Frame {
    return frame({ type: 'content_block_delta', index: this.#index, delta });
  }

  #closeBlock(): readonly Frame[] {
    if (this.#open === undefined) return [];
    // Clients keep the last signature only: send one, at the end.
    const signature =
      this.#open === 'reasoning'
        ? [this.#delta({ type: 'signature_delta', signature: signatureOf(this.#thought, this.#head) })]
        : [];
    this.#open = undefined;
    return [...signature, frame({ type: 'content_block_stop', index: this.#index })];
  }

  #finish(event: FinishEvent): Frame {
    const delta = stopOf(event, this.#head);
    const usage = usageCounts(event.usage, this.#head);
    return frame({ type: 'message_delta', delta, usage, ...warningsField(this.#warnings) });
  }
}
