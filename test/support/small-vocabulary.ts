/** A SentencePiece vocabulary that can be read at a glance. */
import type { VocabularyDefinition } from '../../src/workers/tokenizer/definition.ts';

export const smallVocabulary = (rest: Partial<VocabularyDefinition> = {}): VocabularyDefinition => ({
  model: 'llama',
  tokens: ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab'],
  tokenTypes: [2, 3, 3, 1, 1, 1, 1],
  scores: [0, 0, 0, -3, -2, -2, -1],
  bosTokenId: 1,
  unknownTokenId: 0,
  endTokenIds: [2],
  addBos: true,
  addSpacePrefix: false,
  ...rest,
});
