/** SentencePiece writes a space as U+2581. */
import type { VocabularyDefinition } from './definition.ts';
import type { TextPlace } from './special-tokens.ts';
import type { TextCutter } from './split.ts';

export const SPACE_MARK = '\u2581';

/** Text as SentencePiece vocabularies write it, with the space before it that the model wants. */
export const spaceMarked = (
  text: string,
  { addSpacePrefix, onlyFirstSpacePrefix, noSecondSpacePrefix }: VocabularyDefinition,
  place: TextPlace,
): string => {
  const marked = text.replaceAll(' ', SPACE_MARK);
  const isWanted = addSpacePrefix && (place === 'prompt' || (place === 'fragment' && !onlyFirstSpacePrefix));
  return isWanted && !(noSecondSpacePrefix && marked.startsWith(SPACE_MARK)) ? SPACE_MARK + marked : marked;
};

/**
 * Cuts marked text before runs of marks, if no piece has a mark after other text: then nothing merges across the cut.
 * Else the text stays whole.
 */
export const wordsOf = (pieces: Iterable<string>): TextCutter => {
  if (spanWords(pieces)) return (text) => [text];
  return (text) => text.match(/\u2581*[^\u2581]+|\u2581+/gu) ?? [];
};

/** True when a piece has a mark after other text. */
export const spanWords = (pieces: Iterable<string>): boolean => {
  for (const piece of pieces) if (/[^\u2581]\u2581/u.test(piece)) return true;
  return false;
};
