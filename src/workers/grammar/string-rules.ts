/** Rules for JSON strings. */
import { ANY_TEXT, type Automaton, both, lengthBetween, oneOf, without } from './automaton.ts';
import { automatonRule, isBroad, jsonCharacter, stringTail } from './automaton-rules.ts';
import { counted } from './counted.ts';
import { INTEGER_FORMATS, SILENT_FORMATS, TEXT_FORMATS } from './formats.ts';
import type { Inset, Insets } from './insets.ts';
import { byteClass, type Ref, type RuleBook } from './rule-book.ts';
import { formatAutomaton, patternAutomaton, satisfies } from './satisfies.ts';
import type { SchemaDocument } from './schema-document.ts';
import { type Conjunction, type Shape, shapeOf } from './schema-shape.ts';

const QUOTE = '"\\""';
/** Longer lengths are counted by rules; an automaton has a state for each. */
const MAX_AUTOMATON_LENGTH = 1_000;

/** Any JSON string. */
export const stringRule = (book: RuleBook): Ref => book.rule('string', [[QUOTE, stringTail(book)]]);

/** A string of an automaton's texts; undefined when it has none. */
export const textRule = (book: RuleBook, automaton: Automaton): Ref | undefined =>
  automaton.length === 0 ? undefined : book.rule('string', [[QUOTE, automatonRule(book, automaton, 'json')]]);

const checkFormats = (document: SchemaDocument, { strings }: Shape): void => {
  for (const { format, at } of strings.formats) {
    if (format in TEXT_FORMATS || format in INTEGER_FORMATS || SILENT_FORMATS.has(format)) continue;
    const known = [...Object.keys(TEXT_FORMATS), ...Object.keys(INTEGER_FORMATS), ...SILENT_FORMATS].join(', ');
    document.refuse(
      at,
      'format',
      `asks for the format ${JSON.stringify(format)}, which is not supported; use a pattern, or one of ${known}`,
    );
  }
};

/** Texts of the patterns and formats; undefined: any. */
const contentAutomaton = (document: SchemaDocument, shape: Shape): Automaton | undefined => {
  checkFormats(document, shape);
  const { patterns, formats } = shape.strings;
  const automata = [
    ...patterns.map(({ pattern, at }) => patternAutomaton(document, pattern, at)),
    ...formats.flatMap(({ format }) => {
      const automaton = formatAutomaton(format);
      return automaton ? [automaton] : [];
    }),
  ];
  return automata.length === 0 ? undefined : automata.reduce((a, b) => both(a, b));
};

const isLong = ({ strings: { minLength, maxLength } }: Shape): boolean =>
  minLength > MAX_AUTOMATON_LENGTH || (maxLength > MAX_AUTOMATON_LENGTH && maxLength !== Number.POSITIVE_INFINITY);

/** Runs what may need too many states, and says where. */
const within = (document: SchemaDocument, shape: Shape, build: () => Automaton): Automaton => {
  try {
    return build();
  } catch (error) {
    const at = shape.strings.patterns[0]?.at ?? shape.strings.formats[0]?.at ?? shape.parts[0]?.at ?? document.root;
    return document.refuse(at, '', `cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** The rule of a string that is checked beside the grammar. */
const insetRule = (book: RuleBook, insets: Insets, inset: Inset): Ref => {
  const marker = insets.add(JSON.stringify(inset), () => inset);
  const content = book.rule('content', [marker.map((byte) => byteClass([[byte, byte]])), [stringTail(book)]]);
  return book.rule('string', [[QUOTE, content]]);
};

/**
 * The rule of strings with a shape; undefined when there is none.
 * @param insets for strings that may be checked beside the grammar; absent: the grammar itself says all
 */
export const stringShapeRule = (
  book: RuleBook,
  document: SchemaDocument,
  shape: Shape,
  insets: Insets | undefined,
): Ref | undefined => {
  const { minLength, maxLength } = shape.strings;
  if (minLength > maxLength) return undefined;
  const content = contentAutomaton(document, shape);
  const hasLength = minLength > 0 || maxLength !== Number.POSITIVE_INFINITY;
  if (!content && !hasLength) return stringRule(book);
  if (insets?.hasRoom && !content)
    return insetRule(book, insets, { kind: 'length', minimum: minLength, maximum: maxLength });
  if (!content && isLong(shape)) {
    return book.rule('string', [
      [QUOTE, counted(book, jsonCharacter(book), minLength, maxLength, book.rule('quote', [[QUOTE]]))],
    ]);
  }
  const automaton = within(document, shape, () => textAutomaton(content, minLength, maxLength));
  const isWide = automaton.some(({ edges }) => edges.some(isBroad));
  return insets?.hasRoom && isWide ? insetRule(book, insets, { kind: 'texts', automaton }) : textRule(book, automaton);
};

const textAutomaton = (content: Automaton | undefined, minLength: number, maxLength: number): Automaton => {
  if (minLength === 0 && maxLength === Number.POSITIVE_INFINITY) return content ?? ANY_TEXT;
  const length = lengthBetween(minLength, maxLength);
  return content ? both(content, length) : length;
};

/** The names that properties beyond the known ones may have. Undefined: any. */
export const nameAutomaton = (
  document: SchemaDocument,
  schemas: Conjunction,
  known: readonly string[],
): Automaton | undefined => {
  const shape = shapeOf(document, schemas);
  if (!shape.isPossible || (shape.types && !shape.types.has('string'))) return [];
  const [union] = shape.unions;
  if (union)
    return document.refuse(
      union.part.at,
      union.keyword,
      `uses ${union.keyword} for property names, which is not supported; use a pattern or an enum`,
    );
  let names: Automaton | undefined;
  if (shape.values) {
    names = oneOf(
      shape.values.filter((value): value is string => typeof value === 'string' && satisfies(document, schemas, value)),
    );
  } else {
    const { minLength, maxLength } = shape.strings;
    const content = contentAutomaton(document, shape);
    if (content || minLength > 0 || maxLength !== Number.POSITIVE_INFINITY) {
      names = within(document, shape, () => textAutomaton(content, minLength, maxLength));
    }
  }
  if (known.length === 0) return names;
  return within(document, shape, () => without(names ?? ANY_TEXT, oneOf(known)));
};
