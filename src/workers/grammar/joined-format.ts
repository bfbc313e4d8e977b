/**
 * An answer's format with its schemas and expressions as grammars: joined into as few as can be, where they share rules.
 * xgrammar compiles each grammar by itself, and looks through the whole vocabulary for each kind of string in each.
 */
import { type AnswerFormat, partsOf, type TagFormat } from './answer-format.ts';
import { Insets } from './insets.ts';
import { schemaRule } from './json-schema.ts';
import { objectInsetRule } from './object-inset.ts';
import { areApart } from './readings.ts';
import { regexRule } from './regex.ts';
import { type Body, literal, type Ref, RuleBook, type Sequence } from './rule-book.ts';

type Triggered = Extract<AnswerFormat, { type: 'triggered_tags' }>;
type Separated = Extract<AnswerFormat, { type: 'tags_with_separator' }>;
type Schema = Extract<AnswerFormat, { type: 'json_schema' }>;

/** A format for xgrammar. */
type Joined = Readonly<Record<string, unknown>>;

/** With more schemas than this, objects among them are compiled one by one, when an answer gets there. */
const MAX_JOINED_SCHEMAS = 8;

const text = (value: string): Sequence => (value === '' ? [] : [literal(value)]);

const asSequence = (book: RuleBook, body: Body): Sequence =>
  body.length === 1 ? (body[0] as Sequence) : [book.rule('choice', body)];

const grammarOf = (body: Body, book: RuleBook): Joined => {
  // A rule of its own, also where the body is a single reference.
  const root = book.reserve('answer');
  book.define(root, body);
  return { type: 'grammar', grammar: book.text(root) };
};

const same = (a: AnswerFormat | undefined, b: AnswerFormat | undefined): boolean =>
  a !== undefined && JSON.stringify(a) === JSON.stringify(b);

const schemasOf = (format: AnswerFormat): readonly string[] =>
  format.type === 'json_schema' ? [JSON.stringify(format.json_schema)] : partsOf(format).flatMap(schemasOf);

/** Joins formats of one answer; `insets` are given where a text can be read in one way only. */
class Joiner {
  readonly #hasManySchemas: boolean;

  constructor(hasManySchemas: boolean) {
    this.#hasManySchemas = hasManySchemas;
  }

  join(format: AnswerFormat, insets: Insets | undefined): Joined {
    const book = new RuleBook('the format of the answer');
    const body = this.#body(book, format, insets);
    if (body) return grammarOf(body, book);
    switch (format.type) {
      case 'grammar':
        return { type: 'grammar', grammar: format.grammar };
      case 'triggered_tags':
        return this.#triggered(format, insets);
      case 'sequence':
        return { ...format, elements: format.elements.map((element) => this.join(element, insets)) };
      case 'or':
        return this.#choice(format.elements, areApart(format.elements) ? insets : undefined);
      case 'tag':
        return { ...format, content: this.join(format.content, insets) };
      case 'tags_with_separator': {
        const inner = areApart(format.tags) ? insets : undefined;
        return { ...format, tags: format.tags.map((tag) => this.join(tag, inner)) };
      }
      default:
        return { ...format };
    }
  }

  /** The format's texts as alternatives; undefined where it holds free text or a grammar that a request brought. */
  #body(book: RuleBook, format: AnswerFormat, insets: Insets | undefined): Body | undefined {
    switch (format.type) {
      case 'const_string':
        return [text(format.value)];
      case 'json_schema':
        return [[this.#schema(book, format, insets)]];
      case 'regex':
        return [[regexRule(book, format.pattern, format.path ?? 'regex')]];
      case 'tag':
        return this.#tag(book, format, insets);
      case 'or':
        return this.#alternatives(book, format.elements, areApart(format.elements) ? insets : undefined);
      case 'sequence': {
        const bodies = format.elements.map((element) => this.#body(book, element, insets));
        return bodies.every((body) => body !== undefined)
          ? [bodies.flatMap((body) => asSequence(book, body))]
          : undefined;
      }
      case 'tags_with_separator':
        return this.#separated(book, format, areApart(format.tags) ? insets : undefined);
      default:
        return undefined;
    }
  }

  #schema(book: RuleBook, { json_schema, path = 'schema' }: Schema, insets: Insets | undefined): Ref {
    return book.once(`schema ${insets !== undefined} ${JSON.stringify(json_schema)}`, () => {
      const isApart = this.#hasManySchemas && insets?.hasRoom === true;
      return (
        (isApart && objectInsetRule(book, insets, json_schema, path)) || schemaRule(book, json_schema, path, insets)
      );
    });
  }

  #alternatives(book: RuleBook, formats: readonly AnswerFormat[], insets: Insets | undefined): Body | undefined {
    const bodies = formats.map((format) => this.#body(book, format, insets));
    return bodies.every((body) => body !== undefined) ? bodies.flat() : undefined;
  }

  #tag(book: RuleBook, { begin, content, end }: TagFormat, insets: Insets | undefined, skipped = ''): Body | undefined {
    const body = this.#body(book, content, insets);
    return body && [[...text(begin.slice(skipped.length)), ...asSequence(book, body), ...text(end)]];
  }

  #separated(book: RuleBook, format: Separated, insets: Insets | undefined): Body | undefined {
    const { tags, separator, at_least_one = false, stop_after_first = false } = format;
    const body = this.#alternatives(book, tags, insets);
    if (!body) return undefined;
    const none: Body = at_least_one ? [] : [[]];
    if (stop_after_first) return [...none, ...body];
    const tag = asSequence(book, body);
    const more = book.reserve('more');
    book.define(more, [[], [...text(separator), ...tag, more]]);
    return [...none, [...tag, more]];
  }

  /** Alternatives; the one that is another's end is written once: `(thought answer | answer)` as `(thought | nothing) answer`. */
  #choice(elements: readonly AnswerFormat[], insets: Insets | undefined): Joined {
    const [long, short, ...more] = elements;
    if (more.length > 0 || long?.type !== 'sequence' || !short || !same(long.elements.at(-1), short)) {
      return { type: 'or', elements: elements.map((element) => this.join(element, insets)) };
    }
    const begin = { type: 'sequence', elements: long.elements.slice(0, -1).map((part) => this.join(part, insets)) };
    const nothing = { type: 'grammar', grammar: 'root ::= ""\n' };
    return { type: 'sequence', elements: [{ type: 'or', elements: [begin, nothing] }, this.join(short, insets)] };
  }

  /** Tags in text, joined by what triggers them. */
  #triggered(format: Triggered, insets: Insets | undefined): Joined {
    const { triggers, tags } = format;
    const inner = areApart(tags) ? insets : undefined;
    const joined = triggers.flatMap((trigger) => {
      const mine = tags.filter((tag) => tag.begin.startsWith(trigger));
      if (mine.length === 0) return [];
      const book = new RuleBook('the tools');
      const bodies = mine.map((tag) => this.#tag(book, tag, inner, trigger));
      return bodies.every((body) => body !== undefined)
        ? [{ type: 'tag', begin: trigger, content: grammarOf(bodies.flat(), book), end: '' }]
        : mine.map((tag) => this.join(tag, inner));
    });
    return { ...format, tags: joined };
  }
}

/** @throws EngineError invalid_request for a schema or an expression that cannot be kept to the letter */
export const joinedFormat = (format: AnswerFormat): { readonly format: Joined; readonly insets: Insets } => {
  const insets = new Insets();
  const hasManySchemas = new Set(schemasOf(format)).size > MAX_JOINED_SCHEMAS;
  return { format: new Joiner(hasManySchemas).join(format, insets), insets };
};
