/** Rules that count: so many of something, in a number of rules that does not grow with the count. */
import type { Ref, RuleBook } from './rule-book.ts';

/** Up to so many, a rule stands for each count, which makes the fastest masks. */
const MAX_CHAIN = 1_000;

/** Exactly so many, at least one. */
const exactly = (book: RuleBook, unit: Ref, count: number): Ref => {
  if (count === 1) return unit;
  const half = exactly(book, unit, Math.floor(count / 2));
  return book.rule('exactly', [[half, half, ...(count % 2 === 1 ? [unit] : [])]]);
};

/** At most so many, then the end. */
const atMost = (book: RuleBook, unit: Ref, count: number, end: Ref): Ref => {
  if (count === 0) return end;
  if (count <= MAX_CHAIN) {
    let rest = end;
    for (let i = 0; i < count; i++) rest = book.rule('at_most', [[end], [unit, rest]]);
    return rest;
  }
  // Either a power of two and then the rest, or fewer than that power.
  const power = 2 ** Math.floor(Math.log2(count));
  return book.rule('at_most', [
    [exactly(book, unit, power), atMost(book, unit, count - power, end)],
    [atMost(book, unit, power - 1, end)],
  ]);
};

/** Between so many and so many of a unit, then the end. */
export const counted = (book: RuleBook, unit: Ref, minimum: number, maximum: number, end: Ref): Ref => {
  let rest: Ref;
  if (maximum === Number.POSITIVE_INFINITY) {
    rest = book.once(`any ${unit.rule} ${end.rule}`, () => {
      const loop = book.reserve('any');
      book.define(loop, [[end], [unit, loop]]);
      return loop;
    });
  } else rest = atMost(book, unit, maximum - minimum, end);
  return minimum === 0 ? rest : book.rule('counted', [[exactly(book, unit, minimum), rest]]);
};

/** White space that may stand after a bracket, comma or colon: nothing, one space, or a line break and its indent. */
export const space = (book: RuleBook): Ref =>
  book.rule('space', [[], ['" "'], ['"\\n"', book.rule('indent', [['[ ]{0,24}'], ['[\\t]{1,12}']])]]);
