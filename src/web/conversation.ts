/** The conversation of a tab, and what is sent of it. */
import type { ChatBody } from '../client/index.ts';
import type { Failure } from './failure.ts';
import { parseTools, type Settings } from './settings.ts';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as far as it has come. */
  readonly arguments: string;
}

/** Clock readings are `performance.now()`; counts are the server's own. */
export interface Figures {
  readonly sentMs: number;
  /** Of the first piece of reasoning, text or call. */
  readonly firstMs?: number;
  readonly firstTextMs?: number;
  readonly lastMs?: number;
  readonly promptTokens?: number;
  readonly cachedTokens?: number;
  readonly completionTokens?: number;
}

export interface Answer {
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly reasoning: string;
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly warnings: readonly string[];
  /** Ended by the limit of tokens. */
  readonly isCut: boolean;
  readonly figures: Figures;
  readonly failure?: Failure;
}

/** A question and its answer: they are sent, edited and dropped together. */
export interface Exchange {
  readonly question: string;
  readonly answer: Answer;
}

export const beginAnswer = (sentMs: number): Answer => ({
  state: 'running',
  reasoning: '',
  text: '',
  calls: [],
  warnings: [],
  isCut: false,
  figures: { sentMs },
});

/** An exchange without an answer is not sent again: templates want questions and answers by turns. */
export const isLeftOut = ({ answer }: Exchange): boolean =>
  answer.state !== 'running' && answer.text === '' && answer.reasoning === '';

/** Of what was kept earlier, perhaps by another version of the page: all of it, or nothing. */
export const readConversation = (kept: unknown): readonly Exchange[] =>
  Array.isArray(kept) && kept.every(isExchange) ? kept : [];

const isExchange = (kept: unknown): kept is Exchange => {
  const { question, answer } = (kept ?? {}) as Partial<Exchange>;
  const { state, text, reasoning, calls, warnings, figures } = answer ?? ({} as Partial<Answer>);
  const areTexts = [question, state, text, reasoning].every((value) => typeof value === 'string');
  return areTexts && Array.isArray(calls) && Array.isArray(warnings) && typeof figures?.sentMs === 'number';
};

/** As it is to be kept: what runs now will not have run to its end when somebody reads it. */
export const keptConversation = (exchanges: readonly Exchange[]): readonly Exchange[] =>
  exchanges.map(({ question, answer }) => ({
    question,
    answer: answer.state === 'running' ? { ...answer, state: 'stopped' } : answer,
  }));

/** Asks for the answer of the last exchange. */
export const requestBody = (exchanges: readonly Exchange[], settings: Settings, model: string): ChatBody => {
  const earlier = exchanges.slice(0, -1).filter((exchange) => !isLeftOut(exchange));
  const { system, temperature, maxTokens } = settings;
  const tools = parseTools(settings.tools) ?? [];
  return {
    model,
    messages: [
      ...(system.trim() === '' ? [] : [{ role: 'system', content: system }]),
      ...earlier.flatMap(messagesOf),
      { role: 'user', content: exchanges.at(-1)?.question ?? '' },
    ],
    stream_options: { include_usage: true },
    ...(tools.length === 0 ? {} : { tools }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { max_completion_tokens: maxTokens }),
  };
};

/** Calls are left out: nobody here gives their results, which would have to follow. */
const messagesOf = ({ question, answer }: Exchange): object[] => [
  { role: 'user', content: question },
  {
    role: 'assistant',
    content: answer.text,
    ...(answer.reasoning === '' ? {} : { reasoning_content: answer.reasoning }),
  },
];
