/** Rules for JSON objects. */
import { type Automaton, both, matches, without } from './automaton.ts';
import { space } from './counted.ts';
import { literal, type Ref, type RuleBook, type Sequence } from './rule-book.ts';
import { patternAutomaton, propertySchemas } from './satisfies.ts';
import type { Located, SchemaDocument } from './schema-document.ts';
import type { Conjunction, Shape } from './schema-shape.ts';
import { nameAutomaton, stringRule, textRule } from './string-rules.ts';

/** More patterns than this would need too many kinds of names. */
const MAX_PATTERNS = 3;
/** With bounds on the number of properties, rules count them. */
const MAX_COUNTED_PROPERTIES = 100;

/** What a value must satisfy as a rule; undefined when nothing satisfies it. */
export type ValueRule = (schemas: Conjunction, at: Located) => Ref | undefined;

interface Member {
  /** Name, colon and value. */
  readonly pair: Sequence;
  readonly isRequired: boolean;
}

interface Context {
  readonly book: RuleBook;
  readonly document: SchemaDocument;
  readonly shape: Shape;
  readonly at: Located;
  readonly valueRule: ValueRule;
}

/** The names that the schemas list, in their order, and then required ones that they do not list. */
const namesOf = ({ objects }: Shape): { listed: Set<string>; all: string[] } => {
  const listed = new Set(objects.rules.flatMap(({ properties }) => [...properties.keys()]));
  return { listed, all: [...new Set([...listed, ...objects.required])] };
};

const isClosed = ({ objects }: Shape): boolean =>
  objects.rules.some((rule) => rule.isClosed) && !objects.rules.some(({ additional }) => additional);

/** `unevaluatedProperties` sees the keywords beside and below it, not those of a schema around it. */
const checkClosed = ({ document, shape: { objects } }: Context): void => {
  for (const { at, isClosed: closes } of objects.rules) {
    if (!closes || at === objects.rules[0]?.at) continue;
    document.refuse(
      at,
      'unevaluatedProperties',
      'uses unevaluatedProperties in a schema that others are combined with; put it in the outermost one',
    );
  }
};

/** The members by name; undefined when a required one cannot be made. */
const knownMembers = (context: Context): Member[] | undefined => {
  const { book, document, shape, at, valueRule } = context;
  const { listed, all } = namesOf(shape);
  const allowed = nameAutomaton(
    document,
    shape.objects.names.map((names) => ({ at: names, skip: [] })),
    [],
  );
  const members: Member[] = [];
  for (const name of all) {
    const isRequired = shape.objects.required.has(name);
    const isAllowed = (!allowed || matches(allowed, name)) && (listed.has(name) || !isClosed(shape));
    const value = isAllowed ? valueRule(propertySchemas(document, shape.objects.rules, name), at) : undefined;
    if (value) {
      members.push({ pair: [literal(`${JSON.stringify(name)}:`), space(book), value], isRequired });
    } else if (isRequired) return undefined;
  }
  return members;
};

/** The kinds of names beyond the listed ones, by the patterns that they match: a member of each. */
const otherMembers = (context: Context): Ref[] => {
  const { book, document, shape, at, valueRule } = context;
  const { rules } = shape.objects;
  const { listed, all } = namesOf(shape);
  const patterns = rules.flatMap((rule) => [...rule.patterns].map(([pattern, value]) => ({ rule, pattern, value })));
  const last = patterns.at(MAX_PATTERNS);
  if (last)
    document.refuse(
      last.rule.at,
      'patternProperties',
      `has more than ${MAX_PATTERNS} patterns of names; use additionalProperties`,
    );
  const isOpen =
    rules.some(({ additional }) => additional) || (listed.size === 0 && patterns.length === 0 && !isClosed(shape));
  const base = () =>
    nameAutomaton(
      document,
      shape.objects.names.map((names) => ({ at: names, skip: [] })),
      all,
    );
  const found: Ref[] = [];
  for (let mask = 0; mask < 2 ** patterns.length; mask++) {
    const isIn = (i: number) => (mask & (1 << i)) !== 0;
    if (mask === 0 && !isOpen) continue;
    const schemas = rules.flatMap((rule): Conjunction => {
      const own = patterns.filter((pattern, i) => pattern.rule === rule && isIn(i)).map(({ value }) => value);
      return (own.length > 0 ? own : rule.additional ? [rule.additional] : []).map((each) => ({ at: each, skip: [] }));
    });
    const value = schemas.some((schema) => schema.at.schema === false) ? undefined : valueRule(schemas, at);
    if (!value) continue;
    const names = patterns.reduce<Automaton | undefined>((before, { rule, pattern }, i) => {
      const matching = patternAutomaton(document, pattern, rule.at, 'patternProperties');
      if (isIn(i)) return before ? both(before, matching) : matching;
      return without(before ?? [{ accepts: true, edges: [{ on: [[0, 0x10ffff]], to: 0 }] }], matching);
    }, base());
    const key = names ? textRule(book, names) : stringRule(book);
    if (key) found.push(book.rule('member', [[key, '":"', space(book), value]]));
  }
  return found;
};

/**
 * The rule of objects with a shape; undefined when there is none. Properties come in the order of the schema, others
 * behind them, none where the schema lists properties and says nothing of others.
 */
export const objectRule = (context: Context): Ref | undefined => {
  const { book, document, shape, at } = context;
  const { minimum, maximum } = shape.objects;
  checkClosed(context);
  const members = knownMembers(context);
  if (!members) return undefined;
  const others = maximum > 0 ? otherMembers(context) : [];
  const isBounded = maximum !== Number.POSITIVE_INFINITY && (others.length > 0 || maximum < members.length);
  const limit = isBounded ? maximum : Number.POSITIVE_INFINITY;
  const numRequired = members.filter(({ isRequired }) => isRequired).length;
  // A name may come twice in a map, and counts once: only a first one is certain to count.
  const certain = Math.max(
    numRequired,
    others.length > 0 ? Math.max(minimum > 0 ? 1 : 0, members.length) : members.length,
  );
  if (minimum > certain && others.length > 0) {
    document.refuse(
      at,
      'minProperties',
      `asks for ${minimum} properties of names that are not listed, which might repeat; list them in required, or use an array`,
    );
  }
  if (minimum > certain || numRequired > limit) return undefined;
  if ((isBounded && maximum > MAX_COUNTED_PROPERTIES) || minimum > MAX_COUNTED_PROPERTIES) {
    const keyword = minimum > MAX_COUNTED_PROPERTIES ? 'minProperties' : 'maxProperties';
    document.refuse(
      at,
      keyword,
      `counts more than ${MAX_COUNTED_PROPERTIES} properties; use a smaller number or an array`,
    );
  }
  const needsCount = isBounded || (minimum > numRequired && minimum > 0);
  if (needsCount || members.length === 0) return new Members(book, members, others, minimum, limit).rule();
  return memberRule(book, members, others);
};

/** Between members. A rule of its own, with what must follow: compiled once, not for each member. */
const comma = (book: RuleBook): Ref => book.rule('comma', [['","', space(book), '(=["])']]);

/** Any number of other members behind the first one, and the closing brace. */
const othersLoop = (book: RuleBook, others: readonly Ref[]): Ref =>
  book.once(`others ${others.map(({ rule }) => rule).join(' ')}`, () => {
    const loop = book.reserve('others');
    book.define(loop, [[space(book), '"}"'], ...others.map((other) => [comma(book), other, loop])]);
    return loop;
  });

/**
 * Members that nobody counts, in few rules, since the compiler's time grows with the square of their number: one for
 * each optional member with its comma, shared by objects, and one for each of those that may come first.
 */
const memberRule = (book: RuleBook, members: readonly Member[], others: readonly Ref[]): Ref => {
  const later = ({ pair, isRequired }: Member): Sequence =>
    isRequired ? [comma(book), ...pair] : [book.rule('optional', [[], [comma(book), ...pair]])];
  const end: Sequence = others.length > 0 ? [othersLoop(book, others)] : [space(book), '"}"'];
  const firstRequired = members.findIndex(({ isRequired }) => isRequired);
  const numFirst = firstRequired < 0 ? members.length : firstRequired + 1;
  const tail: Sequence = [...members.slice(numFirst).flatMap(later), ...end];
  const [only] = members;
  if (firstRequired === 0 && only) return book.rule('object', [['"{"', space(book), ...only.pair, ...tail]]);
  let rest = tail.length === 1 && typeof tail[0] === 'object' ? tail[0] : book.rule('members', [tail]);
  const alternatives: Sequence[] = firstRequired < 0 ? others.map((other) => [other, ...end]) : [];
  for (const [index, member] of [...members.slice(0, numFirst).entries()].reverse()) {
    alternatives.unshift([...member.pair, rest]);
    if (index > 0) rest = book.rule('members', [[...later(member), rest]]);
  }
  const empty: Sequence[] = firstRequired < 0 ? [['"{}"']] : [];
  return book.rule('object', [['"{"', space(book), book.rule('first', alternatives)], ...empty]);
};

/** Counts members and writes them one after another: rules by how far in the list it is, and by how many members there are already. */
class Members {
  readonly #book: RuleBook;
  readonly #members: readonly Member[];
  readonly #others: readonly Ref[];
  readonly #minimum: number;
  readonly #maximum: number;
  readonly #counted: number;
  readonly #rules = new Map<string, Ref | undefined>();

  constructor(book: RuleBook, members: readonly Member[], others: readonly Ref[], minimum: number, maximum: number) {
    this.#book = book;
    this.#members = members;
    this.#others = others;
    this.#minimum = minimum;
    this.#maximum = maximum;
    // Counts beyond this make no difference.
    this.#counted = Math.max(1, minimum, maximum === Number.POSITIVE_INFINITY ? 0 : maximum);
  }

  rule(): Ref | undefined {
    const first = this.#from(0, 0);
    return (
      first && this.#book.rule('object', [['"{"', space(this.#book), first], ...(this.#mayBeEmpty() ? [['"{}"']] : [])])
    );
  }

  #mayBeEmpty(): boolean {
    return this.#minimum === 0 && !this.#members.some(({ isRequired }) => isRequired);
  }

  /** Everything from a member on, up to and with the closing brace. */
  #from(index: number, numWritten: number): Ref | undefined {
    const key = `${index} ${numWritten}`;
    if (this.#rules.has(key)) return this.#rules.get(key);
    const rule = index === this.#members.length ? this.#end(numWritten) : this.#member(index, numWritten);
    this.#rules.set(key, rule);
    return rule;
  }

  #comma(numWritten: number): Sequence {
    return numWritten === 0 ? [] : [comma(this.#book)];
  }

  #next(numWritten: number): number {
    return Math.min(numWritten + 1, this.#counted);
  }

  #isFull(numWritten: number): boolean {
    return numWritten >= this.#maximum;
  }

  #member(index: number, numWritten: number): Ref | undefined {
    const { pair, isRequired } = this.#members[index] as Member;
    const rest = this.#isFull(numWritten) ? undefined : this.#from(index + 1, this.#next(numWritten));
    const skipped = isRequired ? undefined : this.#from(index + 1, numWritten);
    const alternatives = [
      ...(rest ? [[...this.#comma(numWritten), ...pair, rest]] : []),
      ...(skipped ? [[skipped]] : []),
    ];
    return alternatives.length === 0 ? undefined : this.#book.rule('members', alternatives);
  }

  /** Behind the listed members: any number of others. */
  #end(numWritten: number): Ref | undefined {
    const close: Sequence[] =
      numWritten >= this.#minimum ? [[...(numWritten === 0 ? [] : [space(this.#book)]), '"}"']] : [];
    if (this.#others.length === 0 || this.#isFull(numWritten)) {
      return close.length === 0 ? undefined : this.#book.rule('close', close);
    }
    if (this.#next(numWritten) !== numWritten) {
      const rest = this.#from(this.#members.length, this.#next(numWritten));
      const more = rest ? this.#others.map((other) => [...this.#comma(numWritten), other, rest]) : [];
      return close.length + more.length === 0 ? undefined : this.#book.rule('others', [...close, ...more]);
    }
    return othersLoop(this.#book, this.#others);
  }
}
