/**
 * Control tokens have no text that an answer may show, yet some of them are tags of tool calls. In the text that a
 * tool format reads each such token is one mark: a noncharacter, which no text of a model has.
 */

const FIRST_MARK = 0xfdd0;
const MARKS = /[\ufdd0-\ufdef]/g;

/** The mark of a format's tag number `index`. */
export const controlMark = (index: number): string => String.fromCharCode(FIRST_MARK + index);

export const withoutMarks = (text: string): string => text.replace(MARKS, '');

/** With the tags' own text in the marks' place. */
export const spellMarks = (text: string, tags: readonly string[]): string =>
  text.replace(MARKS, (mark) => tags[mark.charCodeAt(0) - FIRST_MARK] ?? '');
