/** Finds special tokens in text, but only where they may count as such. */

/** A stretch of text. Literal text came from a user: what looks like a control token in it is plain text. */
export interface Segment {
  readonly text: string;
  readonly isLiteral: boolean;
}

/** A found token, or text between tokens. */
export type Fragment = { readonly tokenId: number } | { readonly text: string };

/** Before a text is nothing, a special token, or other text that it was cut from. */
export type TextPlace = 'prompt' | 'fragment' | 'continuation';

/** A stretch of a prompt whose tokens do not depend on what is around it. */
export type PromptPart = readonly (
  | { readonly tokenId: number }
  | { readonly text: string; readonly place: TextPlace }
)[];

export interface SpecialTokens {
  /** Count only in the template's own text: control tokens, and added tokens that look like markup. */
  readonly markup: ReadonlyMap<string, number>;
  /** Count everywhere: added tokens such as runs of spaces, which the model expects in any text. */
  readonly everywhere: ReadonlyMap<string, number>;
  /** Tokens that take the white space before them away. */
  readonly trimsBefore: ReadonlySet<number>;
  /** Tokens that take the white space after them away. */
  readonly trimsAfter: ReadonlySet<number>;
}

/** Added tokens that look so steer the model, whatever their file calls them: text cannot be one. */
export const looksLikeMarkup = (token: string): boolean => /^[<[].*[>\]]$/s.test(token);

/** Cuts the joined segments at special tokens, the leftmost and longest first; empty text is left out. */
export const fragments = (segments: readonly Segment[], special: SpecialTokens): Fragment[] => {
  // A lone surrogate has no UTF-8: it counts as the character that would be written for it.
  const text = segments
    .map((segment) => segment.text)
    .join('')
    .toWellFormed();
  const expression = expressionOf(special);
  if (!expression) return text === '' ? [] : [{ text }];
  const isLiteral = literalRanges(segments);
  const result: Fragment[] = [];
  let end = 0;
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match; match = expression.exec(text)) {
    const [found] = match;
    const everywhere = special.everywhere.get(found);
    const tokenId = everywhere ?? special.markup.get(found)!;
    if (everywhere === undefined && isLiteral(match.index, match.index + found.length)) {
      expression.lastIndex = match.index + 1;
      continue;
    }
    const before = text.slice(end, match.index);
    const kept = special.trimsBefore.has(tokenId) ? before.replace(SPACES_AT_END, '') : before;
    if (kept !== '') result.push({ text: kept });
    result.push({ tokenId });
    end = match.index + found.length;
    if (special.trimsAfter.has(tokenId)) end = endOfSpaces(text, end);
    expression.lastIndex = end;
  }
  if (end < text.length) result.push({ text: text.slice(end) });
  return result;
};

const SPACES_AT_END = /(?<!\p{White_Space})\p{White_Space}+$/u;
const SPACES_HERE = /\p{White_Space}*/uy;

const endOfSpaces = (text: string, start: number): number => {
  SPACES_HERE.lastIndex = start;
  return start + SPACES_HERE.exec(text)![0].length;
};

const expressions = new WeakMap<SpecialTokens, RegExp | undefined>();

const expressionOf = (special: SpecialTokens): RegExp | undefined => {
  if (!expressions.has(special)) {
    const texts = [...special.markup.keys(), ...special.everywhere.keys()].sort((a, b) => b.length - a.length);
    const escaped = texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    expressions.set(special, escaped.length > 0 ? new RegExp(escaped.join('|'), 'g') : undefined);
  }
  return expressions.get(special);
};

/** Tells whether any character of a range is literal. */
const literalRanges = (segments: readonly Segment[]): ((start: number, end: number) => boolean) => {
  const ranges: { start: number; end: number }[] = [];
  let start = 0;
  for (const { text, isLiteral } of segments) {
    if (isLiteral && text !== '') ranges.push({ start, end: start + text.length });
    start += text.length;
  }
  return (from, to) => {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.end <= from) low = middle + 1;
      else high = middle;
    }
    return low < ranges.length && ranges[low]!.start < to;
  };
};
