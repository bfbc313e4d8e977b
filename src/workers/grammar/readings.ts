/** Whether a text can be of one format only, by how it begins. */
import type { AnswerFormat } from './answer-format.ts';

/** How texts begin: with one of these texts, or with one of the characters that a JSON value begins with. */
interface Beginnings {
  readonly texts: readonly string[];
  readonly isJson: boolean;
}

const JSON_BEGINNINGS = new Set('{["-0123456789tfn');

/** Undefined: that is not known. */
const beginningsOf = (format: AnswerFormat): Beginnings | undefined => {
  switch (format.type) {
    case 'const_string':
      return format.value === '' ? undefined : { texts: [format.value], isJson: false };
    case 'json_schema':
      return { texts: [], isJson: true };
    case 'tag':
      return format.begin === '' ? undefined : { texts: [format.begin], isJson: false };
    case 'sequence':
      return format.elements[0] && beginningsOf(format.elements[0]);
    case 'or':
      return join(format.elements);
    case 'tags_with_separator':
      return format.at_least_one ? join(format.tags) : undefined;
    default:
      return undefined;
  }
};

const join = (formats: readonly AnswerFormat[]): Beginnings | undefined => {
  const all = formats.map(beginningsOf);
  if (!all.every((each) => each !== undefined)) return undefined;
  return { texts: all.flatMap(({ texts }) => texts), isJson: all.some(({ isJson }) => isJson) };
};

const beginsJson = (text: string): boolean => JSON_BEGINNINGS.has(text.slice(0, 1));

const differ = (a: Beginnings, b: Beginnings): boolean =>
  !(a.isJson && b.isJson) &&
  !(a.isJson && b.texts.some(beginsJson)) &&
  !(b.isJson && a.texts.some(beginsJson)) &&
  a.texts.every((mine) => b.texts.every((other) => !mine.startsWith(other) && !other.startsWith(mine)));

/** Whether no text can begin two of the formats. False where that is not certain. */
export const areApart = (formats: readonly AnswerFormat[]): boolean => {
  if (formats.length === 1) return true;
  const all = formats.map(beginningsOf);
  return all.every((mine, i) => mine !== undefined && all.slice(i + 1).every((other) => other && differ(mine, other)));
};
