/** Anthropic's message object, whole, and the pieces of it that a stream repeats. */
import { createHash } from 'node:crypto';
import type { Usage } from '../../runtime/api.ts';
import type { CacheTtl } from './anthropic-cache.ts';
import { answeredArguments } from './call-arguments.ts';
import type { Answer, AnswerPart, AnswerWarning, FinishEvent } from './dialect.ts';
import { sealReasoning } from './sealed-reasoning.ts';

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
  /** Thoughts go out without their text. */
  readonly omitsThinking: boolean;
}

export const messageBody = (head: MessageHead, { parts, warnings, finish }: Answer): object => ({
  ...messageHead(head),
  content: parts.flatMap((part) => blockBody(part, head)),
  ...stopOf(finish, head),
  usage: wholeUsage(finish.usage, head),
  ...warningsField(warnings),
});

/** A field of ours, absent where there is nothing to say. */
export const warningsField = (warnings: readonly AnswerWarning[]) => (warnings.length > 0 ? { warnings } : {});

const blockBody = (part: AnswerPart, head: MessageHead): object[] => {
  // Null would do by the protocol, but the AI SDK takes a list alone.
  if (part.type === 'text') return [{ type: 'text', text: part.text, citations: [] }];
  if (part.type === 'tool_call') return [{ ...callBlock(part), input: answeredArguments(part.arguments) }];
  const thinking = head.omitsThinking ? '' : part.text;
  return [{ type: 'thinking', thinking, signature: signatureOf(part.text, head) }];
};

export const callBlock = ({ id, name }: { readonly id: string; readonly name: string }) => ({
  type: 'tool_use',
  id,
  name,
  input: {},
  caller: { type: 'direct' },
});

export const messageHead = ({ id, model }: MessageHead) => ({
  id,
  type: 'message',
  role: 'assistant',
  model,
  diagnostics: null,
  content: [],
});

/** Clients insist on a non-empty signature and send it back. It is read only where it stands for the thought. */
export const signatureOf = (thought: string, { id, omitsThinking }: MessageHead): string =>
  omitsThinking ? sealReasoning(thought) : createHash('sha256').update(id).update(thought).digest('base64');

export const stopOf = (finish: FinishEvent, head: MessageHead) => ({
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
export const usageCounts = (usage: Usage, head: MessageHead) => ({
  input_tokens: usage.promptTokens - usage.cachedTokens - creationOf(usage, head),
  output_tokens: usage.completionTokens,
  cache_creation_input_tokens: creationOf(usage, head),
  cache_read_input_tokens: usage.cachedTokens,
  server_tool_use: null,
  output_tokens_details: { thinking_tokens: usage.reasoningTokens },
});

export const wholeUsage = (usage: Usage, head: MessageHead) => ({
  ...usageCounts(usage, head),
  cache_creation: {
    ephemeral_5m_input_tokens: head.cacheTtl === '5m' ? creationOf(usage, head) : 0,
    ephemeral_1h_input_tokens: head.cacheTtl === '1h' ? creationOf(usage, head) : 0,
  },
  service_tier: 'standard',
  speed: 'standard',
  inference_geo: null,
});
