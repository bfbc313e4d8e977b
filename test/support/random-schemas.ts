/** JSON Schemas made at random, and values that are likely to satisfy one. */
import type { RandomNumber } from '../../bench/seeded-numbers.ts';

export type Schema = boolean | { readonly [keyword: string]: unknown };

const PATTERNS: readonly (readonly [pattern: string, texts: readonly string[]])[] = [
  ['^[a-z]+$', ['a', 'xyz', 'hello']],
  ['^[A-Z][a-z]{0,5}$', ['A', 'Hello']],
  ['\\d{2}', ['12', 'a34b', '日56"']],
  ['^(?:ab|cd)*$', ['', 'ab', 'abcdab']],
  ['^[^x]{1,8}$', ['a', '日本"\n', '😀😀']],
  ['^v\\d+\\.\\d+$', ['v1.0', 'v12.34']],
];
const FORMATS: readonly (readonly [format: string, texts: readonly string[]])[] = [
  ['date', ['2024-02-29', '1999-12-31']],
  ['date-time', ['2024-02-29T12:34:56Z']],
  ['email', ['jo.doe@example.com', 'a@b.cd']],
  ['uuid', ['123e4567-e89b-12d3-a456-426614174000']],
  ['ipv4', ['127.0.0.1']],
  ['uri', ['https://example.com/a?b=c']],
  ['hostname', ['api.example.com']],
];
const NAMES = ['a', 'b', 'ab', 'abc', 'name', 'é', 'x"y', 'kind', 'n1', 'value'];
const TEXTS = ['', 'a', 'ab', 'the', 'é日😀', '"\\\n', 'value', 'x'.repeat(12), '\u0001', 'null', '}]'];
const NUMBERS = [0, 1, -1, 2, 3, 7, 10, 42, 100, -15, 0.5, 2.25, -0.1, 1e6];

/** Where properties are listed and nothing is said of others, grammars take none: among alternatives, that would show. */
const closed = (schema: Schema): Schema =>
  typeof schema === 'object' && schema.properties !== undefined && schema.additionalProperties === undefined
    ? { ...schema, additionalProperties: false }
    : schema;

/** Makes schemas; those of one maker may refer to what it has defined. */
export class SchemaMaker {
  readonly #random: RandomNumber;
  readonly #definitions: string[] = [];

  constructor(random: RandomNumber) {
    this.#random = random;
  }

  document(): Schema {
    const numDefinitions = this.#below(3);
    for (let i = 0; i < numDefinitions; i++) this.#definitions.push(`d${i}`);
    const root = this.schema(0);
    if (typeof root === 'boolean' || numDefinitions === 0) return root;
    return { ...root, $defs: Object.fromEntries(this.#definitions.map((name) => [name, closed(this.schema(1))])) };
  }

  schema(depth: number): Schema {
    const kinds = [
      [3, () => this.#string(depth)],
      [2, () => this.#number(depth)],
      [1, () => this.#values()],
      [1, () => ({ type: this.#pick(['boolean', 'null', ['string', 'null'], ['integer', 'boolean', 'string']]) })],
      [0.3, () => this.#pick([true, {}] as Schema[])],
      [this.#definitions.length > 0 ? 1.5 : 0, () => ({ $ref: `#/$defs/${this.#pick(this.#definitions)}` })],
      [depth > 3 ? 0 : depth === 0 ? 8 : 3, () => this.#object(depth)],
      [depth > 3 ? 0 : 2, () => this.#array(depth)],
      [depth > 3 ? 0 : 1.5, () => this.#combined(depth)],
      [0.1, () => this.#unsupported()],
    ] as const;
    return this.#weighted(kinds)();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #is(chance: number): boolean {
    return this.#random() < chance;
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[this.#below(values.length)]!;
  }

  #weighted<Value>(choices: readonly (readonly [number, Value])[]): Value {
    let at = this.#random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      at -= weight;
      if (at < 0) return value;
    }
    return choices[0]![1];
  }

  #maybe(chance: number, part: () => object): object {
    return this.#is(chance) ? part() : {};
  }

  /** Without a type, a schema means the types that its keywords speak of: narrower than Ajv has it, in unions above all. */
  #typed(depth: number, type: string): object {
    return depth === 0 && this.#is(0.2) ? {} : { type };
  }

  #string(depth: number): Schema {
    const minLength = this.#below(4);
    return {
      ...this.#typed(depth, 'string'),
      ...this.#maybe(0.2, () => ({ minLength })),
      ...this.#maybe(0.3, () => ({ maxLength: minLength + this.#pick([0, 1, 3, 8, 40]) })),
      ...this.#maybe(0.25, () => ({ pattern: this.#pick(PATTERNS)[0] })),
      ...this.#maybe(0.15, () => ({ format: this.#pick(FORMATS)[0] })),
      ...this.#maybe(0.1, () => ({ description: 'a text', default: 'x', title: 'Text' })),
    };
  }

  #number(depth: number): Schema {
    const low = this.#pick(NUMBERS);
    const isInteger = this.#is(0.5);
    return {
      ...this.#typed(depth, isInteger ? 'integer' : 'number'),
      ...this.#maybe(0.4, () => (this.#is(0.7) ? { minimum: low } : { exclusiveMinimum: low })),
      ...this.#maybe(0.4, () => {
        const high = low + this.#pick([0, 1, 5, 99, 12345]);
        return this.#is(0.7) ? { maximum: high } : { exclusiveMaximum: high };
      }),
      ...this.#maybe(0.2, () => ({ multipleOf: this.#pick([1, 2, 3, 7, 0.5, 0.01, 10, 25]) })),
    };
  }

  #values(): Schema {
    const value = () => this.#pick<unknown>([...TEXTS, ...NUMBERS, true, false, null, [1, 'a'], { a: [null] }]);
    if (this.#is(0.3)) return { const: value() };
    return { enum: Array.from({ length: 1 + this.#below(4) }, value) };
  }

  #properties(depth: number): Record<string, Schema> {
    const names = new Set(Array.from({ length: this.#below(5) }, () => this.#pick(NAMES)));
    return Object.fromEntries([...names].map((name) => [name, this.schema(depth + 1)]));
  }

  #object(depth: number): Schema {
    const properties = this.#properties(depth);
    const names = Object.keys(properties);
    return {
      ...this.#typed(depth, 'object'),
      ...this.#maybe(0.9, () => ({ properties })),
      ...this.#maybe(0.7, () => ({
        required: [...new Set([...names.filter(() => this.#is(0.5)), ...(this.#is(0.05) ? [this.#pick(NAMES)] : [])])],
      })),
      ...this.#maybe(0.5, () => ({ additionalProperties: this.#is(0.6) ? this.#is(0.3) : this.schema(depth + 1) })),
      ...this.#maybe(0.07, () => ({
        patternProperties: { [this.#pick(['^n', 'b$', '^[a-c]+$'])]: this.schema(depth + 1) },
      })),
      ...this.#maybe(0.05, () => ({
        propertyNames: this.#pick<Schema>([{ maxLength: 3 }, { pattern: '^[a-z]+$' }, { enum: NAMES }]),
      })),
      ...this.#maybe(0.07, () => ({ minProperties: this.#below(3) })),
      ...this.#maybe(0.07, () => ({ maxProperties: this.#below(4) })),
      ...this.#maybe(0.03, () => ({ unevaluatedProperties: false })),
    };
  }

  #array(depth: number): Schema {
    const minItems = this.#below(3);
    return {
      ...this.#typed(depth, 'array'),
      ...this.#maybe(0.2, () => ({ prefixItems: [this.schema(depth + 1), this.schema(depth + 1)] })),
      ...this.#maybe(0.8, () => ({ items: this.#is(0.1) ? false : this.schema(depth + 1) })),
      ...this.#maybe(0.3, () => ({ minItems })),
      ...this.#maybe(0.3, () => ({ maxItems: minItems + this.#below(4) })),
      ...this.#maybe(0.05, () => ({ uniqueItems: true, items: { enum: ['a', 'b', 1] } })),
    };
  }

  #combined(depth: number): Schema {
    const some = () => Array.from({ length: 1 + this.#below(3) }, () => closed(this.schema(depth + 1)));
    return this.#weighted<() => Schema>([
      [3, () => ({ anyOf: some() })],
      [1, () => ({ oneOf: some() })],
      [2, () => ({ allOf: [this.schema(depth + 1), this.schema(depth + 2)] })],
      [1, () => ({ ...(this.#object(depth) as object), anyOf: some() })],
      [
        1,
        () => ({
          oneOf: ['a', 'b'].map((kind) => ({
            type: 'object',
            properties: { kind: { const: kind }, ...this.#properties(depth + 1) },
            required: ['kind'],
          })),
        }),
      ],
    ])();
  }

  #unsupported(): Schema {
    return this.#pick<Schema>([
      { not: { type: 'string' } },
      { if: { type: 'string' }, else: { type: 'integer' } },
      { type: 'array', contains: { type: 'integer' } },
      { type: 'object', dependentRequired: { a: ['b'] } },
      { type: 'object', properties: { a: true }, dependentSchemas: { a: { required: ['b'] } } },
      { type: 'string', format: 'colour' },
      { type: 'string', pattern: '(?=a)' },
    ]);
  }
}

/** The type that a keyword speaks of, which a schema without a type means. */
const SPEAKS_OF: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'].map((word) => [word, 'number']),
  ),
  ...Object.fromEntries(['minLength', 'maxLength', 'pattern'].map((word) => [word, 'string'])),
  ...Object.fromEntries(
    [
      'properties',
      'patternProperties',
      'additionalProperties',
      'unevaluatedProperties',
      'required',
      'propertyNames',
      'minProperties',
      'maxProperties',
    ].map((word) => [word, 'object']),
  ),
  ...Object.fromEntries(['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'].map((word) => [word, 'array'])),
};

const TYPES = ['string', 'integer', 'boolean', 'null', 'array', 'object'];

type Keywords = { readonly [keyword: string]: unknown };
type Json = unknown;

/** Makes values that a schema is likely to take, with properties in the order of the schema, others behind. */
export class ValueMaker {
  readonly #random: RandomNumber;
  readonly #root: Schema;

  constructor(random: RandomNumber, root: Schema) {
    this.#random = random;
    this.#root = root;
  }

  value(): Json {
    return this.#value([this.#root], 0);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[this.#below(values.length)]!;
  }

  /** All keywords that apply, one branch chosen of each union: those of a schema, then of its `$ref` and `allOf`, then of branches. */
  #unfold(schemas: readonly Schema[], depth: number): Keywords[] {
    const found: Keywords[] = [];
    const branches: Schema[] = [];
    const visit = (schema: Schema, nesting: number): void => {
      if (typeof schema === 'boolean' || nesting > 12) return;
      found.push(schema);
      if (typeof schema.$ref === 'string') visit(this.#resolve(schema.$ref), nesting + 1);
      for (const part of (schema.allOf as Schema[] | undefined) ?? []) visit(part, nesting + 1);
      for (const union of [schema.anyOf, schema.oneOf]) {
        if (union) branches.push(this.#pick(union as Schema[]));
      }
    };
    for (const schema of schemas) visit(schema, 0);
    return branches.length > 0 && depth < 20 ? [...found, ...this.#unfold(branches, depth + 1)] : found;
  }

  #resolve(ref: string): Schema {
    const path = ref.slice(2).split('/');
    return path[0] === ''
      ? this.#root
      : (path.reduce((at, key) => (at as Keywords)[key], this.#root as unknown) as Schema);
  }

  #value(schemas: readonly Schema[], depth: number): Json {
    const all = this.#unfold(schemas, 0);
    const lists = all.flatMap((each) => ('const' in each ? [[each.const]] : each.enum ? [each.enum as Json[]] : []));
    if (lists.length > 0) return this.#pick(lists[0]!);
    const types = all.flatMap(({ type }) => (type === undefined ? [] : [[type].flat() as string[]]));
    const spoken = new Set(all.flatMap((each) => Object.keys(each).flatMap((keyword) => SPEAKS_OF[keyword] ?? [])));
    if (all.some(({ format }) => format !== undefined) && !spoken.has('number')) spoken.add('string');
    const implied = [...spoken];
    const possible = (types[0] ?? (implied.length > 0 ? implied : TYPES)).filter((each) =>
      types.every((set) => set.includes(each) || (each === 'integer' && set.includes('number'))),
    );
    const type = possible.length === 0 ? 'null' : this.#pick(possible);
    switch (type) {
      case 'object':
        return this.#object(all, depth);
      case 'array':
        return this.#array(all, depth);
      case 'string':
        return this.#string(all);
      case 'boolean':
        return this.#random() < 0.5;
      case 'null':
        return null;
      default:
        return this.#number(all, type === 'integer');
    }
  }

  #object(all: readonly Keywords[], depth: number): Json {
    const rules = all.map((each) => ({
      properties: (each.properties ?? {}) as Record<string, Schema>,
      additional: each.additionalProperties as Schema | undefined,
      patterns: Object.entries((each.patternProperties ?? {}) as Record<string, Schema>),
    }));
    const required = new Set(all.flatMap((each) => (each.required as string[] | undefined) ?? []));
    const listed = [...new Set([...rules.flatMap(({ properties }) => Object.keys(properties)), ...required])];
    const chosen = listed.filter((name) => required.has(name) || this.#random() < (depth > 4 ? 0.1 : 0.5));
    const hasRules = rules.some(
      ({ properties, patterns }) => patterns.length > 0 || Object.keys(properties).length > 0,
    );
    // Where properties are listed and nothing is said of others, there are none.
    const isOpen = !hasRules || rules.some(({ additional }) => (additional ?? false) !== false);
    const isMatching = (name: string) =>
      rules.some(({ patterns }) => patterns.some(([pattern]) => new RegExp(pattern, 'u').test(name)));
    const others = Array.from({ length: this.#below(3) }, () => this.#pick([...NAMES, 'zz', 'nb'])).filter(
      (name) => isOpen || isMatching(name),
    );
    const names = [...chosen, ...new Set(others.filter((name) => !listed.includes(name)))];
    return Object.fromEntries(
      names.map((name) => {
        const schemas = rules.flatMap(({ properties, additional, patterns }) => {
          const own = [
            ...(Object.hasOwn(properties, name) ? [properties[name]!] : []),
            ...patterns.filter(([pattern]) => new RegExp(pattern, 'u').test(name)).map(([, schema]) => schema),
          ];
          return own.length > 0 ? own : additional === undefined ? [] : [additional];
        });
        return [name, this.#value(schemas, depth + 1)];
      }),
    );
  }

  #array(all: readonly Keywords[], depth: number): Json {
    const minimum = Math.max(0, ...all.map(({ minItems }) => (minItems as number | undefined) ?? 0));
    const length = minimum + (depth > 4 ? 0 : this.#below(3));
    return Array.from({ length }, (_, i) =>
      this.#value(
        all.flatMap(({ prefixItems, items }) => {
          const at = (prefixItems as Schema[] | undefined)?.[i] ?? (items as Schema | undefined);
          return at === undefined ? [] : [at];
        }),
        depth + 1,
      ),
    );
  }

  #string(all: readonly Keywords[]): Json {
    const fitting = [...PATTERNS, ...FORMATS].filter(([key]) =>
      all.some(({ pattern, format }) => pattern === key || format === key),
    );
    const texts = fitting.length > 0 ? fitting.flatMap(([, some]) => some) : TEXTS;
    const text = this.#pick(texts);
    const longest = Math.min(...all.map(({ maxLength }) => (maxLength as number | undefined) ?? 99));
    const shortest = Math.max(...all.map(({ minLength }) => (minLength as number | undefined) ?? 0));
    // A format's text, cut, might be one that is not among the usual ones.
    if (all.some(({ format }) => format !== undefined)) return text;
    const cut = [...text].slice(0, longest).join('');
    return cut.padEnd(this.#random() < 0.9 ? shortest : 0, 'é');
  }

  #number(all: readonly Keywords[], isInteger: boolean): Json {
    const bounds = all.flatMap((each) =>
      [each.minimum, each.maximum, each.exclusiveMinimum, each.exclusiveMaximum, each.multipleOf].filter(
        (bound) => typeof bound === 'number',
      ),
    ) as number[];
    const near = bounds.flatMap((bound) => [bound, bound + 1, bound - 1, bound * 2, bound + 0.5]);
    const value = this.#pick([...NUMBERS, ...near, ...near]);
    return isInteger ? Math.round(value) : Number(value.toPrecision(12));
  }
}
