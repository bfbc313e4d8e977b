/** Rules for JSON arrays. */
import { counted, space } from './counted.ts';
import type { ValueRule } from './object-rules.ts';
import { literal, type Ref, type RuleBook, type Sequence } from './rule-book.ts';
import { itemSchemas, satisfies } from './satisfies.ts';
import type { Located, SchemaDocument } from './schema-document.ts';
import { canonical, type Shape, shapeOf } from './schema-shape.ts';

/** Unique items of so many values need a rule for each set of them. */
const MAX_UNIQUE_VALUES = 8;
/** Longer ones make too many rules. */
const MAX_PREFIX = 500;

interface Context {
  readonly book: RuleBook;
  readonly document: SchemaDocument;
  readonly shape: Shape;
  readonly at: Located;
  readonly valueRule: ValueRule;
}

const checkClosed = ({ document, shape: { arrays } }: Context): void => {
  for (const { at, isClosed } of arrays.rules) {
    if (!isClosed || at === arrays.rules[0]?.at) continue;
    document.refuse(
      at,
      'unevaluatedItems',
      'uses unevaluatedItems in a schema that others are combined with; put it in the outermost one',
    );
  }
};

/** The rule of arrays with a shape; undefined when there is none. */
export const arrayRule = (context: Context): Ref | undefined => {
  const { book, document, shape, at, valueRule } = context;
  const { rules, minimum } = shape.arrays;
  checkClosed(context);
  if (shape.arrays.isUnique && shape.arrays.maximum > 1) return uniqueRule(context);
  const prefixLength = Math.max(0, ...rules.map(({ prefix }) => prefix.length));
  if (prefixLength > MAX_PREFIX) document.refuse(at, 'prefixItems', `lists more than ${MAX_PREFIX} items; use items`);
  const isClosed = rules.some((rule) => rule.isClosed) && !rules.some(({ rest }) => rest);
  let maximum = Math.min(shape.arrays.maximum, isClosed ? prefixLength : Number.POSITIVE_INFINITY);
  const items: Ref[] = [];
  for (let i = 0; i <= prefixLength && i < maximum; i++) {
    const rule = valueRule(itemSchemas(rules, i), at);
    if (rule) items.push(rule);
    else maximum = i;
  }
  if (minimum > maximum) return undefined;
  return new Items(book, items, minimum, maximum).rule();
};

/** Items one after another. */
class Items {
  readonly #book: RuleBook;
  /** Of each place in the prefix, and last of all places behind it. */
  readonly #items: readonly Ref[];
  readonly #minimum: number;
  readonly #maximum: number;

  constructor(book: RuleBook, items: readonly Ref[], minimum: number, maximum: number) {
    this.#book = book;
    this.#items = items;
    this.#minimum = minimum;
    this.#maximum = maximum;
  }

  rule(): Ref {
    const [first] = this.#items;
    const some: Sequence[] = first && this.#maximum > 0 ? [['"["', space(this.#book), first, this.#after(1)]] : [];
    return this.#book.rule('array', [...(this.#minimum === 0 ? [['"[]"']] : []), ...some]);
  }

  /** What may follow so many items, up to and with the closing bracket. */
  #after(numItems: number): Ref {
    const close = this.#book.rule('close', [[space(this.#book), '"]"']]);
    if (numItems >= this.#maximum) return close;
    const item = this.#items[Math.min(numItems, this.#items.length - 1)] as Ref;
    if (numItems >= this.#items.length - 1 && numItems >= this.#minimum && this.#maximum === Number.POSITIVE_INFINITY) {
      return this.#book.once(`loop ${item.rule}`, () => {
        const loop = this.#book.reserve('loop');
        this.#book.define(loop, [[close], ['","', space(this.#book), item, loop]]);
        return loop;
      });
    }
    const next = this.#book.rule('item', [['","', space(this.#book), item]]);
    if (numItems >= this.#items.length - 1) {
      return counted(this.#book, next, Math.max(0, this.#minimum - numItems), this.#maximum - numItems, close);
    }
    const rest = this.#after(numItems + 1);
    return this.#book.rule('items', [...(numItems >= this.#minimum ? [[close]] : []), [next, rest]]);
  }
}

/** Unique items of few values: a rule for each set of values that are used. */
const uniqueRule = ({ book, document, shape, at }: Context): Ref | undefined => {
  const { arrays } = shape;
  const schemas = itemSchemas(arrays.rules, 0);
  const { values } = shapeOf(document, schemas);
  const isUniform = arrays.rules.every(({ prefix }) => prefix.length === 0);
  if (!values || !isUniform || values.length > MAX_UNIQUE_VALUES) {
    return document.refuse(
      arrays.uniqueAt ?? at,
      'uniqueItems',
      `asks for unique items, which is supported for items of an enum of at most ${MAX_UNIQUE_VALUES} values; leave it out, or set it to false`,
    );
  }
  const texts = values
    .filter((value) => satisfies(document, schemas, value))
    .map((value) => literal(JSON.stringify(value)));
  const unique = [...new Set(texts)].slice(0, new Set(values.map(canonical)).size);
  const maximum = Math.min(arrays.maximum, unique.length);
  if (arrays.minimum > maximum) return undefined;
  const after = (used: number, numUsed: number): Ref =>
    book.once(`unique ${unique.join()} ${arrays.minimum} ${maximum} ${used}`, () => {
      const close: Sequence[] = numUsed >= arrays.minimum ? [[...(numUsed === 0 ? [] : [space(book)]), '"]"']] : [];
      const comma: Sequence = numUsed === 0 ? [] : ['","', space(book)];
      const more =
        numUsed >= maximum
          ? []
          : unique.flatMap((value, i) =>
              (used & (1 << i)) === 0 ? [[...comma, value, after(used | (1 << i), numUsed + 1)]] : [],
            );
      return book.rule('unique', [...close, ...more]);
    });
  return book.rule('array', [['"["', space(book), after(0, 0)]]);
};
