/** Cuts text into pieces, one step after the other. */
import type { SplitStep } from './definition.ts';

/** Cuts text into pieces. */
export type TextCutter = (text: string) => readonly string[];

/** Applies each step to every piece that the one before left. */
export const cutter = (steps: readonly SplitStep[]): TextCutter => {
  const cuts = steps.map((step) => cutOnce(step));
  return (text) =>
    cuts.reduce<readonly string[]>(
      (pieces, cut) => {
        if (pieces.length === 1) return cut(pieces[0]!);
        const result: string[] = [];
        for (const piece of pieces) for (const part of cut(piece)) result.push(part);
        return result;
      },
      text === '' ? [] : [text],
    );
};

const cutOnce = (step: SplitStep): TextCutter => {
  const expression = new RegExp(step.pattern, 'gu');
  if (step.behavior === 'isolated' || (step.behavior === 'removed' && step.invert)) {
    return (text) => {
      // Most expressions leave nothing between their matches: then these are the pieces.
      const words = text.match(expression);
      if (words === null) return step.behavior === 'isolated' ? [text] : [];
      let length = 0;
      for (const word of words) length += word.length;
      if (length === text.length && !words.includes('')) return words;
      return parts(text, expression, step)
        .filter(({ isMatch }) => !isMatch || step.behavior === 'isolated')
        .map(({ piece }) => piece);
    };
  }
  return (text) => arrange(parts(text, expression, step), step.behavior);
};

interface Part {
  readonly piece: string;
  readonly isMatch: boolean;
}

/** Matches and what lies between them, in order; with `invert` in exchanged roles. */
const parts = (text: string, expression: RegExp, { invert = false }: SplitStep): Part[] => {
  const result: Part[] = [];
  let end = 0;
  const push = (from: number, to: number, isMatch: boolean): void => {
    if (to > from) result.push({ piece: text.slice(from, to), isMatch: isMatch !== invert });
  };
  for (const match of text.matchAll(expression)) {
    push(end, match.index, false);
    end = match.index + match[0].length;
    push(match.index, end, true);
  }
  push(end, text.length, false);
  return result;
};

const arrange = (all: readonly Part[], behavior: SplitStep['behavior']): string[] => {
  if (behavior === 'removed') return all.filter(({ isMatch }) => !isMatch).map(({ piece }) => piece);
  const result: string[] = [];
  for (const [index, { piece, isMatch }] of all.entries()) {
    const before = all[index - 1];
    const joins =
      (behavior === 'mergedWithPrevious' && isMatch && before?.isMatch === false) ||
      (behavior === 'mergedWithNext' && !isMatch && before?.isMatch === true) ||
      (behavior === 'contiguous' && before?.isMatch === isMatch);
    if (joins) result[result.length - 1] += piece;
    else result.push(piece);
  }
  return result;
};
