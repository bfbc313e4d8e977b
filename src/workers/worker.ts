/** A pool thread: its named tasks. What a task needs is made when it is first used and kept for the thread's life. */
import { workerData } from 'piscina';
import type { ChatPrompt, Prompt, TokenPiece } from '../runtime/api.ts';
import { decodeTokens, tokenPieces } from './detokenizer.ts';
import { createNextToken, type RowResult, type SampleRow } from './next-token.ts';
import { createPrepare, type PreparedPrompt } from './prepare.ts';
import { createRender, segmentsText } from './render.ts';
import { asResult, type TaskResult, type ThreadSetup } from './task.ts';
import type { PromptPart } from './tokenizer/special-tokens.ts';
import { createTokenizer } from './tokenizer/tokenizer.ts';

const { definition, vocabularySize } = workerData as ThreadSetup;

const once = <Value>(make: () => Value): (() => Value) => {
  let made: { value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** Characters that are worth a round trip to another thread. */
const PART_LENGTH = 40_000;

const tokenizer = once(() => createTokenizer(definition));
const renderer = once(() => createRender(definition, tokenizer()));
const preparer = once(() => createPrepare(definition, tokenizer(), PART_LENGTH, renderer()));
const sampler = once(() => createNextToken(definition, vocabularySize));

/** Null only builds the tokenizer, so that the first prompt need not wait for it. */
export const prepare = (prompt: Prompt | null): TaskResult<PreparedPrompt | undefined> =>
  asResult(() => {
    const prepareOne = preparer();
    return prompt === null ? undefined : prepareOne(prompt);
  });

/** The tokens of a part that `prepare` left. */
export const encodePart = (part: PromptPart): TaskResult<Uint32Array> => asResult(() => tokenizer().encodePart(part));

/** The text of a conversation as `prepare` tokenizes it. */
export const render = (prompt: ChatPrompt): TaskResult<string> =>
  asResult(() => segmentsText(renderer()(prompt).segments));

export const pieces = (tokenIds: ArrayLike<number>): TaskResult<TokenPiece[]> =>
  asResult(() => tokenPieces(tokenizer(), tokenIds));

/** The text of these tokens, those that steer the model included as far as they have one. */
export const decode = (tokenIds: readonly number[]): TaskResult<string> =>
  asResult(() => decodeTokens(tokenizer(), tokenIds));

export const nextTokens = (rows: readonly SampleRow[]): TaskResult<RowResult[]> => asResult(() => rows.map(sampler()));
