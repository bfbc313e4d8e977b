/** Anthropic's message object and its stream of events. Blocks are contiguous, and one is open at a time. */
import { createHash, type Hash } from 'node:crypto';
import type { GenerationEvent, Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import type { CacheTtl } from './anthropic-cache.ts';
import { anthropicError } from './anthropic-error.ts';
import { answeredArguments } from './call-arguments.ts';
import type { Answer, AnswerPart, Encoder, EventPayload, FinishEvent, Frame } from './dialect.ts';

/** What the answer's head repeats of the request. */
export interface MessageHead {
  readonly id: string;
  /** As the client named it. */
  readonly model: string;
  readonly requestId: string;
  readonly maxTokens: number;
  readonly contextLength: number;
  /** The request marks its prompt to be kept for so long. */
  readonly cacheTtl: CacheTtl | undefined;
}

export const messageBody = (head: MessageHead, { parts, finish }: Answer): object => ({
  ...messageHead(head),
  content: parts.flatMap((part) => blockBody(part, head)),
  ...stopOf(finish, head),
  usage: wholeUsage(finish.usage, head),
});

const blockBody = (part: AnswerPart, head: MessageHead): object[] => {
  if (part.type === 'text') return [{ type: 'text', text: part.text, citations: null }];
  if (part.type === 'tool_call') return [{ ...callBlock(part), input: answeredArguments(part.arguments) }];
  return [{ type: 'thinking', thinking: part.text, signature: signatureOf(newSignature(head).update(part.text)) }];
};

const callBlock = ({ id, name }: { readonly id: string; readonly name: string }) => ({
  type: 'tool_use',
  id,
  name,
  input: {},
  caller: { type: 'direct' },
});

const messageHead = ({ id, model }: MessageHead) => ({ id, type: 'message', role: 'assistant', model, content: [] });

/** Clients insist on a non-empty signature and send it back; nothing reads it, so a digest of the thought will do. */
const newSignature = ({ id }: MessageHead): Hash => createHash('sha256').update(id);
const signatureOf = (hash: Hash): string => hash.digest('base64');

const stopOf = (finish: FinishEvent, head: MessageHead) => ({
  stop_reason: stopReason(finish, head),
  stop_sequence: finish.stopSequence ?? null,
  stop_details: null,
  container: null,
});

const stopReason = ({ reason, usage }: FinishEvent, { maxTokens, contextLength }: MessageHead): string => {
  if (reason === 'stop') return 'end_turn';
  if (reason === 'tool_calls') return 'tool_use';
  if (reason === 'stop_sequence') return 'stop_sequence';
  const isContextFull = usage.promptTokens + usage.completionTokens >= contextLength;
  return isContextFull && usage.completionTokens < maxTokens ? 'model_context_window_exceeded' : 'max_tokens';
};

/**
 * Tokens that a mark has put into the cache: all that were computed but the last one, which is computed every time.
 * Without a mark none, as Anthropic counts.
 */
const creationOf = ({ promptTokens, cachedTokens }: Usage, { cacheTtl }: MessageHead): number =>
  cacheTtl === undefined ? 0 : Math.max(0, promptTokens - cachedTokens - 1);

/** The three kinds of prompt tokens add up to the prompt: `input_tokens` is what neither came from the cache nor went there. */
const usageCounts = (usage: Usage, head: MessageHead) => ({
  input_tokens: usage.promptTokens - usage.cachedTokens - creationOf(usage, head),
  output_tokens: usage.completionTokens,
  cache_creation_input_tokens: creationOf(usage, head),
  cache_read_input_tokens: usage.cachedTokens,
  server_tool_use: null,
  output_tokens_details: { thinking_tokens: usage.reasoningTokens },
});

const wholeUsage = (usage: Usage, head: MessageHead) => ({
  ...usageCounts(usage, head),
  cache_creation: {
    ephemeral_5m_input_tokens: head.cacheTtl === '5m' ? creationOf(usage, head) : 0,
    ephemeral_1h_input_tokens: head.cacheTtl === '1h' ? creationOf(usage, head) : 0,
  },
  service_tier: 'standard',
  inference_geo: null,
});

type BlockType = 'text' | 'reasoning';

const frame = (payload: EventPayload): Frame => ({ kind: 'event', payload });

export class MessageEncoder implements Encoder {
  readonly #head: MessageHead;
  #open: BlockType | undefined;
  #index = -1;
  #signature: Hash;

  constructor(head: MessageHead) {
    this.#head = head;
    this.#signature = newSignature(head);
  }

  /** Nothing: the first event tells how much of the prompt was cached, which only the engine's start knows. */
  begin(): readonly Frame[] {
    return [];
  }

  event(_choice: number, event: GenerationEvent): readonly Frame[] {
    if (event.type === 'start') return this.#start(event.promptTokens, event.cachedTokens);
    if (event.type === 'finish') return [...this.#closeBlock(), this.#finish(event)];
    if ((event.type !== 'text' && event.type !== 'reasoning') || event.text === '') return [];
    const opening = this.#open === event.type ? [] : [...this.#closeBlock(), this.#openBlock(event.type)];
    if (event.type === 'reasoning') this.#signature.update(event.text);
    const delta =
      event.type === 'text'
        ? { type: 'text_delta', text: event.text }
        : { type: 'thinking_delta', thinking: event.text };
    return [...opening, this.#delta(delta)];
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

  #openBlock(type: BlockType): Frame {
    this.#open = type;
    this.#index++;
    this.#signature = newSignature(this.#head);
    const block =
      type === 'text' ? { type: 'text', text: '', citations: null } : { type: 'thinking', thinking: '', signature: '' };
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
        ? [this.#delta({ type: 'signature_delta', signature: signatureOf(this.#signature) })]
        : [];
    this.#open = undefined;
    return [...signature, frame({ type: 'content_block_stop', index: this.#index })];
  }

  #finish(event: FinishEvent): Frame {
    const delta = stopOf(event, this.#head);
    return frame({ type: 'message_delta', delta, usage: usageCounts(event.usage, this.#head) });
  }
}
