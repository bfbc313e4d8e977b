/** The worker pool's own functions in this thread: engines start in no time and see every step. */
import { setImmediate as nextTick } from 'node:timers/promises';
import type { EngineParts } from '../../src/runtime/engine.ts';
import { decodeTokens, flushPending, tokenPieces } from '../../src/workers/detokenizer.ts';
import { createNextToken } from '../../src/workers/next-token.ts';
import { createPrepare } from '../../src/workers/prepare.ts';
import { createRender, segmentsText } from '../../src/workers/render.ts';
import type { TokenizerDefinition } from '../../src/workers/tokenizer/definition.ts';
import { tokenBytes } from '../../src/workers/tokenizer/token-bytes.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';

export const inlineWorkers = (definition: TokenizerDefinition, vocabularySize: number): EngineParts['workers'] => {
  const prepare = createPrepare(definition);
  const nextToken = createNextToken(definition, vocabularySize);
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
    close: async () => {},
  };
};
