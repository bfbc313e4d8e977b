/** Cuts long prompts where their tokens are cut in any case, so that several threads can encode them. */
import type { VocabularyDefinition } from './definition.ts';
import { SPACE_MARK, spanWords } from './space-mark.ts';
import type { PromptPart } from './special-tokens.ts';

/**
 * Between a letter and the space before another word. Every named pre-tokenizer cuts there: a match that has the letter
 * ends with it, since letters are followed by letters or a contraction alone; no expression looks back, but for spaces at
 * the end; and none looks ahead, but after spaces.
 */
const BORDER = /[a-z](?= [A-Za-z])/g;

/** True when no token of a vocabulary crosses such a border. */
export const canSplit = ({ model, tokens, normalizer = [], preTokenizer }: VocabularyDefinition): boolean => {
  if (normalizer.some(({ kind }) => kind === 'replace' || kind === 'charsmap')) return false;
  if (model === 'gpt2') return typeof preTokenizer !== 'object';
  if (model !== 'llama') return false;
  if (typeof preTokenizer === 'object') return preTokenizer.every(({ pattern }) => pattern === SPACE_MARK);
  return !spanWords(tokens);
};

/** Parts of about `partLength` characters, or more where no border comes. */
export const splitPart = (whole: PromptPart, partLength: number): PromptPart[] => {
  const parts: PromptPart[number][][] = [[]];
  let length = 0;
  const push = (fragment: PromptPart[number], size: number): void => {
    if (length >= partLength) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)!.push(fragment);
    length += size;
  };
  for (const fragment of whole) {
    if ('tokenId' in fragment) {
      push(fragment, 1);
      continue;
    }
    let { place } = fragment;
    for (const text of textsOf(fragment.text, partLength)) {
      push({ text, place }, text.length);
      place = 'continuation';
    }
  }
  return parts;
};

const textsOf = (text: string, partLength: number): string[] => {
  const texts: string[] = [];
  let start = 0;
  while (text.length - start > partLength) {
    BORDER.lastIndex = start + partLength - 1;
    if (!BORDER.test(text)) break;
    texts.push(text.slice(start, BORDER.lastIndex));
    start = BORDER.lastIndex;
  }
  texts.push(text.slice(start));
  return texts;
};
