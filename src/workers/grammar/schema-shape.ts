/** What all schemas that apply to one value ask of it together, keyword by keyword. */
import type { NumberBounds } from './numbers.ts';
import { isObject, type JsonObject, type Located, type SchemaDocument } from './schema-document.ts';

export const JSON_TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
export type JsonType = (typeof JSON_TYPES)[number];

/** A schema without some of its keywords, which were dealt with. */
export interface Part {
  readonly at: Located;
  readonly skip: readonly string[];
}

/** Schemas that must all hold. */
export type Conjunction = readonly Part[];

/** One of the schemas of an `anyOf` or `oneOf`. */
export interface Union {
  readonly keyword: 'anyOf' | 'oneOf';
  readonly part: Part;
  readonly branches: readonly Located[];
}

/** One schema's say about an object's properties. */
export interface PropertyRules {
  readonly at: Located;
  readonly properties: ReadonlyMap<string, Located>;
  readonly patterns: ReadonlyMap<string, Located>;
  /** For names that neither list; absent: anything. */
  readonly additional?: Located;
  /** `unevaluatedProperties: false`. */
  readonly isClosed: boolean;
}

/** One schema's say about an array's items. */
export interface ItemRules {
  readonly at: Located;
  readonly prefix: readonly Located[];
  /** For items behind the prefix; absent: anything. */
  readonly rest?: Located;
  readonly isClosed: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface Shape {
  /** All schemas, with `$ref` and `allOf` unfolded. */
  readonly parts: Part[];
  types?: ReadonlySet<JsonType>;
  values?: readonly unknown[];
  readonly numbers: Omit<Mutable<NumberBounds>, 'multiples' | 'isInteger'> & { readonly multiples: number[] };
  readonly strings: {
    minLength: number;
    maxLength: number;
    readonly patterns: { pattern: string; at: Located }[];
    readonly formats: { format: string; at: Located }[];
  };
  readonly objects: {
    minimum: number;
    maximum: number;
    readonly required: Set<string>;
    readonly rules: PropertyRules[];
    readonly names: Located[];
  };
  readonly arrays: {
    minimum: number;
    maximum: number;
    isUnique: boolean;
    uniqueAt?: Located;
    readonly rules: ItemRules[];
  };
  readonly unions: Union[];
  /** Types that keywords without a `type` speak of. */
  readonly implied: Set<JsonType>;
  /** False: no value satisfies the schemas. */
  isPossible: boolean;
}

const REFUSED: Readonly<Record<string, string>> = {
  not: 'say what is allowed instead',
  if: 'use anyOf with one schema a case',
  contains: 'use items',
  minContains: 'use items',
  maxContains: 'use items',
  dependentRequired: 'use anyOf with one schema a case',
  dependentSchemas: 'use anyOf with one schema a case',
  dependencies: 'use anyOf with one schema a case',
  $dynamicRef: 'use $ref',
  $recursiveRef: 'use $ref',
  extends: 'use allOf',
  disallow: 'say what is allowed instead',
  divisibleBy: 'use multipleOf',
};

const emptyShape = (): Shape => ({
  parts: [],
  numbers: { multiples: [] },
  strings: { minLength: 0, maxLength: Number.POSITIVE_INFINITY, patterns: [], formats: [] },
  objects: { minimum: 0, maximum: Number.POSITIVE_INFINITY, required: new Set(), rules: [], names: [] },
  arrays: { minimum: 0, maximum: Number.POSITIVE_INFINITY, isUnique: false, rules: [] },
  unions: [],
  implied: new Set(),
  isPossible: true,
});

/** JSON texts of equal values are equal: object keys in order, numbers as JavaScript writes them. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );

const sameTypes = (a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): ReadonlySet<JsonType> => {
  const holds = (set: ReadonlySet<JsonType>, type: JsonType) =>
    set.has(type) || (type === 'integer' && set.has('number'));
  return new Set(JSON_TYPES.filter((type) => holds(a, type) && holds(b, type) && (a.has(type) || b.has(type))));
};

const atLeast = (a: number | undefined, b: number): number => (a === undefined ? b : Math.max(a, b));
const atMost = (a: number | undefined, b: number): number => (a === undefined ? b : Math.min(a, b));

/** Folds schemas into one shape. */
class Folder {
  readonly shape = emptyShape();
  readonly #document: SchemaDocument;
  readonly #seen = new Set<string>();
  readonly #open = new Set<string>();
  #at: Located;

  constructor(document: SchemaDocument) {
    this.#document = document;
    this.#at = document.root;
  }

  fold({ at, skip }: Part): void {
    const key = `${at.pointer} ${skip.join(' ')}`;
    if (this.#open.has(key))
      this.#document.refuse(at, '', 'refers to itself without anything in between; remove the circle');
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (typeof at.schema === 'boolean') {
      this.shape.isPossible &&= at.schema;
      return;
    }
    const part = { at, skip: [...new Set([...skip, '$ref', 'allOf'])] };
    this.shape.parts.push(part);
    const schema = Object.fromEntries(
      Object.entries(at.schema).filter(([word, value]) => !skip.includes(word) && value !== undefined),
    );
    this.#at = at;
    this.#checkRefused(schema);
    this.#types(schema);
    this.#numbers(schema);
    this.#strings(schema);
    this.#objects(schema);
    this.#arrays(schema);
    this.#unions(schema, part);
    this.#open.add(key);
    if (schema.$ref !== undefined) this.fold({ at: this.#document.resolve(at, schema.$ref), skip: [] });
    this.#at = at;
    const branches = schema.allOf === undefined ? [] : this.#list(schema, 'allOf');
    for (const branch of branches) this.fold({ at: branch, skip: [] });
    this.#open.delete(key);
  }

  #refuse(keyword: string, what: string): never {
    return this.#document.refuse(this.#at, keyword, what);
  }

  #checkRefused(schema: JsonObject): void {
    for (const [keyword, remedy] of Object.entries(REFUSED)) {
      const value = schema[keyword];
      if (value === undefined || (isObject(value) && keyword.startsWith('depend') && Object.keys(value).length === 0))
        continue;
      this.#refuse(keyword, `uses ${keyword}, which is not supported; ${remedy}`);
    }
    for (const keyword of ['unevaluatedProperties', 'unevaluatedItems']) {
      if (isObject(schema[keyword]) && Object.keys(schema[keyword]).length > 0) {
        this.#refuse(
          keyword,
          `uses ${keyword} with a schema, which is not supported; use ${keyword === 'unevaluatedItems' ? 'items' : 'additionalProperties'}`,
        );
      }
    }
  }

  #types(schema: JsonObject): void {
    if (schema.type !== undefined) {
      const names = Array.isArray(schema.type) ? schema.type : [schema.type];
      const unknown = names.find((name) => !JSON_TYPES.includes(name as JsonType));
      if (unknown !== undefined || names.length === 0) {
        this.#refuse('type', `names the type ${JSON.stringify(unknown)}; known are ${JSON_TYPES.join(', ')}`);
      }
      const types = new Set<JsonType>([
        ...(names as JsonType[]),
        ...(schema.nullable === true ? (['null'] as const) : []),
      ]);
      this.shape.types = this.shape.types ? sameTypes(this.shape.types, types) : types;
    }
    if (schema.enum !== undefined && !Array.isArray(schema.enum)) this.#refuse('enum', 'has an enum that is no list');
    if (schema.enum !== undefined) this.#keepValues(schema.enum as unknown[]);
    if ('const' in schema) this.#keepValues([schema.const]);
  }

  #keepValues(values: readonly unknown[]): void {
    const allowed = new Set(values.map(canonical));
    const unique = new Map(values.map((value) => [canonical(value), value]));
    this.shape.values = this.shape.values?.filter((value) => allowed.has(canonical(value))) ?? [...unique.values()];
  }

  /** A keyword's number; undefined when it is absent. */
  #number(schema: JsonObject, keyword: string, isCount: boolean): number | undefined {
    const value = schema[keyword];
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isFinite(value) || (isCount && (!Number.isInteger(value) || value < 0))) {
      this.#refuse(
        keyword,
        `has the ${keyword} ${JSON.stringify(value)}; write a ${isCount ? 'whole number from 0' : 'number'}`,
      );
    }
    return value;
  }

  #numbers(schema: JsonObject): void {
    const { numbers, implied } = this.shape;
    const old = (keyword: string) => typeof schema[keyword] === 'boolean';
    const low = this.#number(schema, 'minimum', false);
    const high = this.#number(schema, 'maximum', false);
    // In draft 4, exclusiveMinimum and exclusiveMaximum say how minimum and maximum are meant.
    const above = old('exclusiveMinimum')
      ? schema.exclusiveMinimum
        ? low
        : undefined
      : this.#number(schema, 'exclusiveMinimum', false);
    const below = old('exclusiveMaximum')
      ? schema.exclusiveMaximum
        ? high
        : undefined
      : this.#number(schema, 'exclusiveMaximum', false);
    if (low !== undefined) numbers.minimum = atLeast(numbers.minimum, low);
    if (high !== undefined) numbers.maximum = atMost(numbers.maximum, high);
    if (above !== undefined) numbers.exclusiveMinimum = atLeast(numbers.exclusiveMinimum, above);
    if (below !== undefined) numbers.exclusiveMaximum = atMost(numbers.exclusiveMaximum, below);
    const divisor = this.#number(schema, 'multipleOf', false);
    if (divisor !== undefined && divisor <= 0)
      this.#refuse('multipleOf', `has the multipleOf ${divisor}; write a number above 0`);
    if (divisor !== undefined && !numbers.multiples.includes(divisor)) numbers.multiples.push(divisor);
    if ([low, high, above, below, divisor].some((value) => value !== undefined)) implied.add('number');
  }

  #strings(schema: JsonObject): void {
    const { strings, implied } = this.shape;
    const shortest = this.#number(schema, 'minLength', true);
    const longest = this.#number(schema, 'maxLength', true);
    strings.minLength = atLeast(strings.minLength, shortest ?? 0);
    strings.maxLength = atMost(strings.maxLength, longest ?? Number.POSITIVE_INFINITY);
    const { pattern, format } = schema;
    if (pattern !== undefined && typeof pattern !== 'string') this.#refuse('pattern', 'has a pattern that is no text');
    if (format !== undefined && typeof format !== 'string') this.#refuse('format', 'has a format that is no text');
    if (typeof pattern === 'string') strings.patterns.push({ pattern, at: this.#at });
    if (typeof format === 'string') strings.formats.push({ format, at: this.#at });
    if (shortest !== undefined || longest !== undefined || pattern !== undefined) implied.add('string');
  }

  #objects(schema: JsonObject): void {
    const { objects, implied } = this.shape;
    objects.minimum = atLeast(objects.minimum, this.#number(schema, 'minProperties', true) ?? 0);
    objects.maximum = atMost(objects.maximum, this.#number(schema, 'maxProperties', true) ?? Number.POSITIVE_INFINITY);
    const { required } = schema;
    if (required !== undefined) {
      if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
        this.#refuse('required', 'has a required that is no list of names');
      for (const name of required as string[]) objects.required.add(name);
    }
    if (schema.propertyNames !== undefined) objects.names.push(this.#document.child(this.#at, 'propertyNames'));
    const isClosed = schema.unevaluatedProperties === false;
    const words = ['properties', 'patternProperties', 'additionalProperties'].filter(
      (word) => schema[word] !== undefined,
    );
    if (words.length > 0 || isClosed) {
      objects.rules.push({
        at: this.#at,
        properties: this.#map(schema, 'properties'),
        patterns: this.#map(schema, 'patternProperties'),
        ...(schema.additionalProperties === undefined
          ? {}
          : { additional: this.#document.child(this.#at, 'additionalProperties') }),
        isClosed,
      });
    }
    const others = ['required', 'propertyNames', 'minProperties', 'maxProperties'];
    if (words.length > 0 || isClosed || others.some((word) => schema[word] !== undefined)) implied.add('object');
  }

  #map(schema: JsonObject, keyword: string): Map<string, Located> {
    const value = schema[keyword] ?? {};
    if (!isObject(value)) return this.#refuse(keyword, `has ${keyword} that are no object of schemas`);
    return new Map(Object.keys(value).map((key) => [key, this.#document.child(this.#at, keyword, key)]));
  }

  #list(schema: JsonObject, keyword: string): Located[] {
    const value = schema[keyword];
    if (!Array.isArray(value) || value.length === 0)
      return this.#refuse(keyword, `has ${keyword} that is no list of schemas`);
    return value.map((_, i) => this.#document.child(this.#at, keyword, String(i)));
  }

  #arrays(schema: JsonObject): void {
    const { arrays, implied } = this.shape;
    arrays.minimum = atLeast(arrays.minimum, this.#number(schema, 'minItems', true) ?? 0);
    arrays.maximum = atMost(arrays.maximum, this.#number(schema, 'maxItems', true) ?? Number.POSITIVE_INFINITY);
    if (schema.uniqueItems === true) {
      arrays.isUnique = true;
      arrays.uniqueAt = this.#at;
    }
    // Until 2020, a list of items was what prefixItems is now, and additionalItems spoke of the items behind.
    const isOld = Array.isArray(schema.items);
    const prefix = isOld ? 'items' : 'prefixItems';
    const rest = isOld ? 'additionalItems' : 'items';
    const isClosed = schema.unevaluatedItems === false;
    const words = [prefix, rest].filter((word) => schema[word] !== undefined);
    if (words.length > 0 || isClosed) {
      arrays.rules.push({
        at: this.#at,
        prefix:
          Array.isArray(schema[prefix]) && schema[prefix].length === 0
            ? []
            : schema[prefix] === undefined
              ? []
              : this.#list(schema, prefix),
        ...(schema[rest] === undefined ? {} : { rest: this.#document.child(this.#at, rest) }),
        isClosed,
      });
    }
    if (
      words.length > 0 ||
      isClosed ||
      ['minItems', 'maxItems', 'uniqueItems'].some((word) => schema[word] !== undefined)
    )
      implied.add('array');
  }

  #unions(schema: JsonObject, part: Part): void {
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      if (schema[keyword] !== undefined)
        this.shape.unions.push({ keyword, part, branches: this.#list(schema, keyword) });
    }
  }
}

/**
 * What some schemas ask together.
 * @throws EngineError invalid_request for a keyword that is not supported or has a bad value
 */
export const shapeOf = (document: SchemaDocument, conjunction: Conjunction): Shape => {
  const folder = new Folder(document);
  for (const part of conjunction) folder.fold(part);
  return folder.shape;
};

/** The schemas with one branch of a union chosen. */
export const choose = (shape: Shape, union: Union, branch: Located): Conjunction => [
  ...shape.parts.map((part) => (part === union.part ? { at: part.at, skip: [...part.skip, union.keyword] } : part)),
  { at: branch, skip: [] },
];

/** The types that a value may have; without a `type`, those that the other keywords speak of. */
export const typesOf = ({ types, implied, strings }: Shape): ReadonlySet<JsonType> => {
  if (types) return types;
  const spoken = new Set([
    ...implied,
    ...(strings.formats.length > 0 && !implied.has('number') ? (['string'] as const) : []),
  ]);
  return spoken.size > 0 ? spoken : new Set(JSON_TYPES.filter((type) => type !== 'integer'));
};
