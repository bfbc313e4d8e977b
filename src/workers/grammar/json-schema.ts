/** JSON Schemas as grammars: every text of the grammar satisfies the schema, or the schema is refused. */
import { EngineError } from '../../runtime/errors.ts';
import { arrayRule } from './array-rules.ts';
import { automatonRule } from './automaton-rules.ts';
import { INTEGER_FORMATS } from './formats.ts';
import type { Insets } from './insets.ts';
import { numberAutomaton } from './numbers.ts';
import { objectRule } from './object-rules.ts';
import { literal, type Ref, RuleBook } from './rule-book.ts';
import { differ, satisfies } from './satisfies.ts';
import { type JsonObject, type Located, SchemaDocument } from './schema-document.ts';
import {
  type Conjunction,
  canonical,
  choose,
  type JsonType,
  type Shape,
  shapeOf,
  typesOf,
  type Union,
} from './schema-shape.ts';
import { stringShapeRule } from './string-rules.ts';
import { areReadApart } from './union-readings.ts';

/** Longer schemas are refused, in bytes of JSON. */
export const MAX_SCHEMA_BYTES = 1_000_000;
/** Schemas nested deeper are refused. */
export const MAX_SCHEMA_DEPTH = 100;
/** The `oneOf` of more schemas are refused: each two are compared. */
export const MAX_ONE_OF = 100;

/** Makes the rules of one schema document. */
class SchemaRules {
  readonly #book: RuleBook;
  readonly #document: SchemaDocument;
  /** Rules by the places of the schemas; a name without a rule yet belongs to a schema that is being made. */
  readonly #made = new Map<string, Ref | undefined>();
  readonly #inside = new Map<string, Ref | undefined>();
  /** Undefined where a text may be read in several ways. */
  #insets: Insets | undefined;

  constructor(book: RuleBook, document: SchemaDocument, insets: Insets | undefined) {
    this.#book = book;
    this.#document = document;
    this.#insets = insets;
  }

  /** The rule of values that satisfy all the schemas; undefined when there are none. */
  value = (schemas: Conjunction, at: Located): Ref | undefined => {
    const key = [...new Set(schemas.map((part) => `${part.at.pointer} ${[...part.skip].sort().join(' ')}`))]
      .sort()
      .join('\n')
      .concat(this.#insets ? '' : ' in one of several readings');
    if (this.#made.has(key)) return this.#made.get(key);
    if (this.#inside.has(key)) return this.#recursive(key);
    if (this.#inside.size >= MAX_SCHEMA_DEPTH) {
      this.#document.refuse(at, '', `is nested deeper than ${MAX_SCHEMA_DEPTH}; make it flatter`);
    }
    this.#inside.set(key, undefined);
    const made = this.#build(schemas, at);
    const name = this.#inside.get(key);
    this.#inside.delete(key);
    if (name) this.#book.define(name, made ? [[made]] : []);
    const rule = name && made ? name : made;
    this.#made.set(key, rule);
    return rule;
  };

  #recursive(key: string): Ref {
    const name = this.#inside.get(key) ?? this.#book.reserve('value');
    this.#inside.set(key, name);
    return name;
  }

  #build(schemas: Conjunction, around: Located): Ref | undefined {
    const shape = shapeOf(this.#document, schemas);
    const at = schemas[0]?.at ?? around;
    if (!shape.isPossible) return undefined;
    if (shape.values) return this.#values(schemas, shape.values);
    const [union] = shape.unions;
    if (union) return this.#union(shape, union);
    const rules = [...typesOf(shape)].flatMap((type) => this.#typed(type, shape, at) ?? []);
    return rules.length === 0
      ? undefined
      : this.#book.rule(
          'value',
          rules.map((rule) => [rule]),
        );
  }

  #values(schemas: Conjunction, values: readonly unknown[]): Ref | undefined {
    const fitting = values.filter((value) => satisfies(this.#document, schemas, value));
    const texts = [...new Map(fitting.map((value) => [canonical(value), JSON.stringify(value)])).values()];
    return texts.length === 0
      ? undefined
      : this.#book.rule(
          'value',
          texts.map((value) => [literal(value)]),
        );
  }

  #union(shape: Shape, union: Union): Ref | undefined {
    const choices = union.branches.map((branch) => choose(shape, union, branch));
    if (union.keyword === 'oneOf') this.#checkDisjoint(union, choices);
    const insets = this.#insets;
    if (!areReadApart(this.#document, choices)) this.#insets = undefined;
    const rules = choices.flatMap((choice, i) => this.value(choice, union.branches[i] as Located) ?? []);
    this.#insets = insets;
    const unique = [...new Map(rules.map((rule) => [rule.rule, rule])).values()];
    return unique.length === 0
      ? undefined
      : this.#book.rule(
          'value',
          unique.map((rule) => [rule]),
        );
  }

  #checkDisjoint({ part, branches }: Union, choices: readonly Conjunction[]): void {
    if (branches.length > MAX_ONE_OF)
      this.#document.refuse(part.at, 'oneOf', `has more than ${MAX_ONE_OF} schemas; use anyOf`);
    for (const [i, mine] of choices.entries()) {
      for (const [j, other] of choices.entries()) {
        if (i === j || differ(this.#document, mine, other)) continue;
        this.#document.refuse(
          part.at,
          'oneOf',
          `has schemas that one value might satisfy together (numbers ${Math.min(i, j)} and ${Math.max(i, j)}); use anyOf, or tell them apart by type or by a required property with a const`,
        );
      }
    }
  }

  #typed(type: JsonType, shape: Shape, at: Located): Ref | undefined {
    const context = { book: this.#book, document: this.#document, shape, at, valueRule: this.value };
    switch (type) {
      case 'object':
        return objectRule(context);
      case 'array':
        return arrayRule(context);
      case 'string':
        return stringShapeRule(this.#book, this.#document, shape, this.#insets);
      case 'boolean':
        return this.#book.rule('boolean', [['"true"'], ['"false"']]);
      case 'null':
        return this.#book.rule('null', [['"null"']]);
      default:
        return this.#number(type === 'integer', shape, at);
    }
  }

  #number(isInteger: boolean, shape: Shape, at: Located): Ref | undefined {
    const formats = shape.strings.formats.flatMap(({ format }) => INTEGER_FORMATS[format] ?? []);
    const { minimum, maximum } = shape.numbers;
    const lows = [...(minimum === undefined ? [] : [minimum]), ...formats.filter((bound) => bound < 0)];
    const highs = [...(maximum === undefined ? [] : [maximum]), ...formats.filter((bound) => bound > 0)];
    const bounds = {
      ...shape.numbers,
      isInteger: isInteger || formats.length > 0,
      minimum: lows.length > 0 ? Math.max(...lows) : undefined,
      maximum: highs.length > 0 ? Math.min(...highs) : undefined,
    };
    const limits = [bounds.minimum, bounds.maximum, bounds.exclusiveMinimum, bounds.exclusiveMaximum];
    if (bounds.multiples.length === 0 && limits.every((limit) => limit === undefined))
      return this.#anyNumber(isInteger);
    try {
      const automaton = numberAutomaton(bounds);
      return automaton.length === 0 ? undefined : automatonRule(this.#book, automaton, 'plain');
    } catch (error) {
      const keyword = bounds.multiples.length > 0 ? 'multipleOf' : '';
      return this.#document.refuse(
        at,
        keyword,
        `cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** Numbers that a double holds: texts without end are none. */
  #anyNumber(isInteger: boolean): Ref {
    const whole = this.#book.rule('integer', [['"0"'], ['"-"?', '[1-9]', '[0-9]{0,15}']]);
    if (isInteger) return whole;
    const fraction = this.#book.rule('fraction', [[], ['"."', '[0-9]{1,15}']]);
    const exponent = this.#book.rule('exponent', [[], ['[eE]', '[+\\-]?', '[0-9]{1,2}']]);
    return this.#book.rule('number', [
      ['"-"?', '"0"', fraction, exponent],
      ['"-"?', '[1-9]', '[0-9]{0,15}', fraction, exponent],
    ]);
  }
}

/**
 * Adds the rule of JSON texts that satisfy a schema (draft 4 to 2020-12, and OpenAPI's `nullable`) to a book, where
 * schemas share what they have in common. Compact JSON is among the texts, and JSON with single spaces or indented lines.
 * @param path the request field that holds the schema, for errors
 * @param insets takes strings that may be checked beside the grammar; absent: the grammar itself says all
 * @throws EngineError invalid_request naming the keyword and its JSON pointer, for a schema that cannot be kept to the letter
 */
export const schemaRule = (book: RuleBook, schema: JsonObject | boolean, path: string, insets?: Insets): Ref => {
  const numBytes = Buffer.byteLength(JSON.stringify(schema));
  if (numBytes > MAX_SCHEMA_BYTES) {
    throw new EngineError(
      'invalid_request',
      `${path}: the JSON Schema has ${numBytes} bytes, more than ${MAX_SCHEMA_BYTES}; make it smaller`,
      { param: path },
    );
  }
  const document = new SchemaDocument(schema, path);
  const rule = new SchemaRules(book, document, insets).value([{ at: document.root, skip: [] }], document.root);
  if (rule && book.canEnd(rule)) return rule;
  return document.refuse(
    document.root,
    '',
    'is satisfied by no finite value; look for bounds or types that exclude each other',
  );
};

/** The grammar, in xgrammar's EBNF, of `schemaRule` alone. */
export const schemaGrammar = (schema: JsonObject | boolean, path: string): string => {
  const book = new RuleBook(path);
  return book.text(schemaRule(book, schema, path));
};
