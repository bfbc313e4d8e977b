/** Streams one answer from the server into what the page shows of it. */
import type { ChatBody, ChatChunk, ChatToolCallDelta, Client } from '../client/index.ts';
import { type Answer, beginAnswer, type Figures, type ToolCall } from './conversation.ts';
import { failureOf } from './failure.ts';

export interface AnswerRequest {
  readonly client: Client;
  readonly body: ChatBody;
  /** Aborting it stops the server's work; the answer stays as far as it has come. */
  readonly signal: AbortSignal;
  readonly onChange: (answer: Answer) => void;
}

/** Resolves with the last state, whatever happened: it never rejects. */
export const streamAnswer = async ({ client, body, signal, onChange }: AnswerRequest): Promise<Answer> => {
  let answer = beginAnswer(performance.now());
  onChange(answer);
  try {
    for await (const chunk of client.chat(body, { signal })) {
      answer = withChunk(answer, chunk, performance.now());
      onChange(answer);
    }
    answer = { ...answer, state: 'done' };
  } catch (error) {
    answer = signal.aborted
      ? { ...answer, state: 'stopped' }
      : { ...answer, state: 'failed', failure: failureOf(error) };
  }
  onChange(answer);
  return answer;
};

export const withChunk = (answer: Answer, { choices, usage, warnings = [] }: ChatChunk, nowMs: number): Answer => {
  const choice = choices[0];
  const delta = choice?.delta ?? {};
  const text = delta.content ?? '';
  const reasoning = delta.reasoning_content ?? '';
  const calls = delta.tool_calls ?? [];
  const hasTokens = text !== '' || reasoning !== '' || calls.length > 0;
  return {
    ...answer,
    text: answer.text + text,
    reasoning: answer.reasoning + reasoning,
    calls: calls.reduce(withCall, answer.calls),
    warnings: [...answer.warnings, ...warnings.map(({ message }) => message)],
    isCut: answer.isCut || choice?.finish_reason === 'length',
    figures: {
      ...answer.figures,
      ...(hasTokens ? { firstMs: answer.figures.firstMs ?? nowMs, lastMs: nowMs } : {}),
      ...(text === '' ? {} : { firstTextMs: answer.figures.firstTextMs ?? nowMs }),
      ...(usage ? usageFigures(usage) : {}),
    },
  };
};

const withCall = (calls: readonly ToolCall[], delta: ChatToolCallDelta): readonly ToolCall[] => {
  const before = calls[delta.index] ?? { id: '', name: '', arguments: '' };
  const after: ToolCall = {
    id: delta.id ?? before.id,
    name: delta.function?.name ?? before.name,
    arguments: before.arguments + (delta.function?.arguments ?? ''),
  };
  return calls.toSpliced(delta.index, 1, after);
};

const usageFigures = (usage: NonNullable<ChatChunk['usage']>): Partial<Figures> => ({
  promptTokens: usage.prompt_tokens,
  completionTokens: usage.completion_tokens,
  ...(usage.prompt_tokens_details ? { cachedTokens: usage.prompt_tokens_details.cached_tokens } : {}),
});
