/** A pool thread: its named tasks. What a task needs is made when it is first used and kept for the thread's life. */
import { workerData } from 'piscina';
import type { ChatPrompt, Prompt, TokenPiece } from '../runtime/api.ts';
import { decodeTokens, tokenPieces } from './detokenizer.ts';
import type { Allowed, AllowedTokens, AnswerFormat } from './grammar/answer-format.ts';
import { AnswerGrammars } from './grammar/answer-grammars.ts';
import { createNextToken, type RowResult, type SampleRow } from './next-token.ts';
import { createPrepare, type PreparedPrompt } from './prepare.ts';
import { createRender, segmentsText } from './render.ts';
import { asAsyncResult, asResult, type TaskResult, type ThreadSetup } from './task.ts';
import type { PromptPart } from './tokenizer/special-tokens.ts';
import { createTokenizer } from './tokenizer/tokenizer.ts';

const { definition, vocabularySize, markers } = workerData as ThreadSetup;

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
const grammars = once(() => AnswerGrammars.create(definition, tokenizer(), vocabularySize, { markers }));
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

export const encode = (text: string): TaskResult<Uint32Array> =>
  asResult(() => tokenizer().encode(text, { parseSpecial: true }));

/** The text of these tokens, those that steer the model included as far as they have one. */
export const decode = (tokenIds: readonly number[]): TaskResult<string> =>
  asResult(() => decodeTokens(tokenizer(), tokenIds));

export const nextTokens = (rows: readonly SampleRow[]): TaskResult<RowResult[]> => asResult(() => rows.map(sampler()));

export interface OpenGrammar {
  readonly id: number;
  readonly format: AnswerFormat;
  readonly jumps: boolean;
}

/** Begins to follow an answer; null only loads the library. */
export const openGrammar = (opening: OpenGrammar | null): Promise<TaskResult<Allowed | undefined>> =>
  asAsyncResult(async () => {
    const answers = await grammars();
    return opening === null ? undefined : answers.open(opening.id, opening.format, opening);
  });

/** advance: go on by these tokens. among: which of them may come next. tokens: which of all may. */
export type GrammarStep =
  | { readonly kind: 'advance' | 'among'; readonly id: number; readonly tokenIds: ArrayLike<number> }
  | { readonly kind: 'tokens'; readonly id: number };

export type GrammarAnswer = Allowed | ReadonlySet<number> | AllowedTokens;

/** Step by step: one that fails takes no other with it. */
export const stepGrammars = (
  steps: readonly GrammarStep[],
): Promise<TaskResult<readonly TaskResult<GrammarAnswer>[]>> =>
  asAsyncResult(async () => {
    const answers = await grammars();
    const run = async (step: GrammarStep): Promise<GrammarAnswer> => {
      if (step.kind === 'tokens') return answers.tokens(step.id);
      const { kind, id, tokenIds } = step;
      return kind === 'among' ? answers.among(id, tokenIds) : answers.advance(id, Array.from(tokenIds));
    };
    const results: TaskResult<GrammarAnswer>[] = [];
    for (const step of steps) results.push(await asAsyncResult(() => run(step)));
    return results;
  });

export const closeGrammar = async (id: number): Promise<void> => (await grammars()).close(id);
