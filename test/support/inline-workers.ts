/** The worker pool's own functions in this thread: engines start in no time and see every step. */
import { setImmediate as nextTick } from 'node:timers/promises';
import type { EngineParts } from '../../src/runtime/engine.ts';
import { decodeTokens, flushPending } from '../../src/workers/detokenizer.ts';
import { createNextToken } from '../../src/workers/next-token.ts';
import { createPrepare } from '../../src/workers/prepare.ts';
import type { TokenizerDefinition } from '../../src/workers/tokenizer/definition.ts';
import { tokenBytes } from '../../src/workers/tokenizer/token-bytes.ts';

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
    decode: async (tokenIds) => decodeTokens(tokenBytes(definition), tokenIds),
    close: async () => {},
  };
};
