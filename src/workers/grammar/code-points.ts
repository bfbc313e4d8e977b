/** Sets of Unicode code points as sorted, disjoint ranges, and their UTF-8 bytes. Surrogates and some noncharacters belong to none. */

/** First and last code point. */
export type Range = readonly [number, number];

/** Sorted and disjoint. */
export type CodePoints = readonly Range[];

/** They stand for control tokens in grammars: see `MarkerTexts`. */
export const NONCHARACTERS: Range = [0xfdd0, 0xfdef];

/** Every code point that a text can hold. */
export const ALL: CodePoints = [
  [0, 0xd7ff],
  [0xe000, NONCHARACTERS[0] - 1],
  [NONCHARACTERS[1] + 1, 0x10ffff],
];

/** The ranges' intersection. */
export const intersect = (a: CodePoints, b: CodePoints): CodePoints => {
  const found: Range[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [lowA, highA] = a[i] as Range;
    const [lowB, highB] = b[j] as Range;
    if (Math.max(lowA, lowB) <= Math.min(highA, highB)) found.push([Math.max(lowA, lowB), Math.min(highA, highB)]);
    if (highA < highB) i++;
    else j++;
  }
  return found;
};

/** Ranges in any order, overlapping or not, as a set. */
export const union = (ranges: CodePoints): CodePoints => {
  const found: [number, number][] = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = found.at(-1);
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else found.push([low, high]);
  }
  return intersect(found, ALL);
};

/** All other code points. */
export const complement = (set: CodePoints): CodePoints => {
  const found: Range[] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) found.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= 0x10ffff) found.push([next, 0x10ffff]);
  return intersect(found, ALL);
};

export const subtract = (a: CodePoints, b: CodePoints): CodePoints => intersect(a, complement(b));

export const count = (set: CodePoints): number => set.reduce((sum, [low, high]) => sum + high - low + 1, 0);

/** The single code points and ranges of a text such as `az` → a–z: every two characters are one range. */
export const rangesOf = (pairs: string): CodePoints => {
  const codes = [...pairs].map((character) => character.codePointAt(0) as number);
  return union(codes.flatMap((code, i) => (i % 2 === 0 ? [[code, codes[i + 1] ?? code] as Range] : [])));
};

/** A byte range for each byte of a character's UTF-8. */
type ByteRanges = readonly Range[];

const UTF8_LENGTHS: readonly (readonly [first: number, last: number, lead: number])[] = [
  [0, 0x7f, 0],
  [0x80, 0x7ff, 0xc0],
  [0x800, 0xffff, 0xe0],
  [0x10000, 0x10ffff, 0xf0],
];

/** Splits a range into pieces whose last `tailBytes` bytes vary freely or alone. */
const splitTail = (low: number, high: number, tailBytes: number, lead: number): ByteRanges[] => {
  if (tailBytes === 0) return [[[lead + low, lead + high]]];
  const span = 64 ** tailBytes;
  const first = Math.floor(low / span);
  const last = Math.floor(high / span);
  const rest = (from: number, to: number) => splitTail(from, to, tailBytes - 1, 0x80);
  const pieces = (head: number, from: number, to: number): ByteRanges[] =>
    rest(from, to).map((tail) => [[lead + head, lead + head], ...tail]);
  if (first === last) return pieces(first, low % span, high % span);
  const found: ByteRanges[] = [];
  let firstFull = first;
  let lastFull = last;
  if (low % span !== 0) found.push(...pieces(firstFull++, low % span, span - 1));
  if (high % span !== span - 1) lastFull--;
  if (firstFull <= lastFull) {
    for (const tail of rest(0, span - 1)) found.push([[lead + firstFull, lead + lastFull], ...tail]);
  }
  if (lastFull < last) found.push(...pieces(last, 0, high % span));
  return found;
};

/** The UTF-8 of a set: alternatives, each one byte range after another. */
export const utf8 = (set: CodePoints): ByteRanges[] =>
  UTF8_LENGTHS.flatMap(([first, last, lead], tailBytes) =>
    intersect(set, [[first, last]]).flatMap(([low, high]) => splitTail(low, high, tailBytes, lead)),
  );
