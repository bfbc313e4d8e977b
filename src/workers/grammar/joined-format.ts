/**
 * An answer's format with its schemas and expressions as grammars: joined into as few as can be, where they share rules.
 * xgrammar compiles each grammar by itself, and looks through the whole vocabulary for each kind of string in each.
 */
import type { AnswerFormat, TagFormat } from './answer-format.ts';
import { schemaRule } from './json-schema.ts';
import { regexRule } from './regex.ts';
import { type Body, literal, RuleBook, type Sequence } from './rule-book.ts';

type Triggered = Extract<AnswerFormat, { type: 'triggered_tags' }>;
type Separated = Extract<AnswerFormat, { type: 'tags_with_separator' }>;

const text = (value: string): Sequence => (value === '' ? [] : [literal(value)]);

/** The format's texts as alternatives; undefined where it holds free text or a grammar that a request brought. */
const bodyOf = (book: RuleBook, format: AnswerFormat): Body | undefined => {
  switch (format.type) {
    case 'const_string':
      return [text(format.value)];
    case 'json_schema':
      return [[schemaRule(book, format.json_schema, format.path ?? 'schema')]];
    case 'regex':
      return [[regexRule(book, format.pattern, format.path ?? 'regex')]];
    case 'tag':
      return tagBody(book, format);
    case 'or':
      return choiceBody(book, format.elements);
    case 'sequence': {
      const bodies = format.elements.map((element) => bodyOf(book, element));
      return bodies.every((body) => body !== undefined)
        ? [bodies.flatMap((body) => asSequence(book, body))]
        : undefined;
    }
    case 'tags_with_separator':
      return separatedBody(book, format);
    default:
      return undefined;
  }
};

const asSequence = (book: RuleBook, body: Body): Sequence =>
  body.length === 1 ? (body[0] as Sequence) : [book.rule('choice', body)];

const choiceBody = (book: RuleBook, formats: readonly AnswerFormat[]): Body | undefined => {
  const bodies = formats.map((format) => bodyOf(book, format));
  return bodies.every((body) => body !== undefined) ? bodies.flat() : undefined;
};

const tagBody = (book: RuleBook, { begin, content, end }: TagFormat, skipped = ''): Body | undefined => {
  const body = bodyOf(book, content);
  return body && [[...text(begin.slice(skipped.length)), ...asSequence(book, body), ...text(end)]];
};

const separatedBody = (book: RuleBook, format: Separated): Body | undefined => {
  const { tags, separator, at_least_one = false, stop_after_first = false } = format;
  const body = choiceBody(book, tags);
  if (!body) return undefined;
  const none: Body = at_least_one ? [] : [[]];
  if (stop_after_first) return [...none, ...body];
  const tag = asSequence(book, body);
  const more = book.reserve('more');
  book.define(more, [[], [...text(separator), ...tag, more]]);
  return [...none, [...tag, more]];
};

const grammarOf = (body: Body, book: RuleBook): unknown => {
  // A rule of its own, also where the body is a single reference.
  const root = book.reserve('answer');
  book.define(root, body);
  return { type: 'grammar', grammar: book.text(root) };
};

const same = (a: AnswerFormat | undefined, b: AnswerFormat | undefined): boolean =>
  a !== undefined && JSON.stringify(a) === JSON.stringify(b);

/** The format for xgrammar. @throws EngineError invalid_request for a schema or an expression that cannot be kept to the letter */
export const joinedFormat = (format: AnswerFormat): unknown => {
  const book = new RuleBook('the format of the answer');
  const body = bodyOf(book, format);
  if (body) return grammarOf(body, book);
  switch (format.type) {
    case 'grammar':
      return { type: 'grammar', grammar: format.grammar };
    case 'triggered_tags':
      return triggered(format);
    case 'sequence':
      return { ...format, elements: format.elements.map(joinedFormat) };
    case 'or':
      return choice(format.elements);
    case 'tag':
      return { ...format, content: joinedFormat(format.content) };
    case 'tags_with_separator':
      return { ...format, tags: format.tags.map(joinedFormat) };
    default:
      return format;
  }
};

/** Alternatives; the one that is another's end is written once: `(thought answer | answer)` as `(thought | nothing) answer`. */
const choice = (elements: readonly AnswerFormat[]): unknown => {
  const [long, short, ...more] = elements;
  if (more.length > 0 || long?.type !== 'sequence' || !short || !same(long.elements.at(-1), short)) {
    return { type: 'or', elements: elements.map(joinedFormat) };
  }
  const begin = { type: 'sequence', elements: long.elements.slice(0, -1).map(joinedFormat) };
  const nothing = { type: 'grammar', grammar: 'root ::= ""\n' };
  return { type: 'sequence', elements: [{ type: 'or', elements: [begin, nothing] }, joinedFormat(short)] };
};

/** Tags in text, joined by what triggers them. */
const triggered = (format: Triggered): unknown => {
  const { triggers, tags } = format;
  const joined = triggers.flatMap((trigger) => {
    const mine = tags.filter((tag) => tag.begin.startsWith(trigger));
    if (mine.length === 0) return [];
    const book = new RuleBook('the tools');
    const bodies = mine.map((tag) => tagBody(book, tag, trigger));
    return bodies.every((body) => body !== undefined)
      ? [{ type: 'tag', begin: trigger, content: grammarOf(bodies.flat(), book), end: '' }]
      : mine.map(joinedFormat);
  });
  return { ...format, tags: joined };
};
