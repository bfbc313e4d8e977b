/** The worker pool's own functions in this thread: engines start in no time and see every step. */
import { setImmediate as nextTick } from 'node:timers/promises';
import type { EngineParts } from '../../src/runtime/engine-parts.ts';
import { decodeTokens, flushPending, tokenPieces } from '../../src/workers/detokenizer.ts';
import { AnswerGrammars } from '../../src/workers/grammar/answer-grammars.ts';
import { createNextToken } from '../../src/workers/next-token.ts';
import { createPrepare } from '../../src/workers/prepare.ts';
import { createRender, segmentsText } from '../../src/workers/render.ts';
import type { TokenizerDefinition } from '../../src/workers/tokenizer/definition.ts';
import { tokenBytes } from '../../src/workers/tokenizer/token-bytes.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';

export const inlineWorkers = (
  definition: TokenizerDefinition,
  vocabularySize: number,
  markers: readonly string[] = [],
  { maxSlowMs = Number.POSITIVE_INFINITY }: { readonly maxSlowMs?: number } = {},
): EngineParts['workers'] => {
  const prepare = createPrepare(definition);
  const nextToken = createNextToken(definition, vocabularySize);
  const tokenizer = createTokenizer(definition);
  let grammars: Promise<AnswerGrammars> | undefined;
  const answers = (): Promise<AnswerGrammars> => {
    grammars ??= AnswerGrammars.create(definition, tokenizer, vocabularySize, { markers, maxSlowMs });
    return grammars;
  };
  return {
    prepare: async (prompt) => {
      await nextTick();
      return prepare(prompt);
    },
    nextTokens: async (rows) => {
      await nextTick();
      return rows.map(nextToken);
    },
    flush: async (pending) => flushPending(pending),
    render: async (prompt) => segmentsText(createRender(definition, createTokenizer(definition))(prompt).segments),
    pieces: async (tokenIds) => tokenPieces(tokenBytes(definition), tokenIds),
    decode: async (tokenIds) => decodeTokens(tokenBytes(definition), tokenIds),
    encode: async (text) => tokenizer.encode(text, { parseSpecial: true }),
    openGrammar: async ({ id, format, jumps }) => (await answers()).open(id, format, { jumps }),
    advanceGrammar: async (id, tokenIds) => (await answers()).advance(id, tokenIds),
    allowedAmong: async (id, tokenIds) => (await answers()).among(id, tokenIds),
    allowedTokens: async (id) => (await answers()).tokens(id),
    closeGrammar: (id) => void answers().then((each) => each.close(id)),
    close: async () => {},
  };
};
