/** Whether a value satisfies schemas, and whether two schemas can share one. */
import { type Automaton, matches } from './automaton.ts';
import { INTEGER_FORMATS, TEXT_FORMATS } from './formats.ts';
import { isMultiple } from './numbers.ts';
import { searchAutomaton, wholeAutomaton } from './regex.ts';
import { isObject, type Located, type SchemaDocument } from './schema-document.ts';
import {
  type Conjunction,
  canonical,
  choose,
  type ItemRules,
  type JsonType,
  type PropertyRules,
  type Shape,
  shapeOf,
  typesOf,
} from './schema-shape.ts';

/** Schemas nested deeper than this count as overlapping. */
const MAX_COMPARED_DEPTH = 6;

const automata = new Map<string, Automaton>();

/** The automaton of a pattern that was parsed before, or now. */
const remember = (key: string, build: () => Automaton): Automaton => {
  const known = automata.get(key);
  if (known) return known;
  const built = build();
  if (automata.size >= 200) automata.clear();
  automata.set(key, built);
  return built;
};

/** Texts in which the pattern of a schema matches. */
export const patternAutomaton = (
  document: SchemaDocument,
  pattern: string,
  at: Located,
  keyword = 'pattern',
): Automaton => {
  try {
    return remember(`pattern ${pattern}`, () => searchAutomaton(pattern));
  } catch (error) {
    return document.refuse(at, keyword, `cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** Texts of a format; undefined for formats of numbers and those that ask nothing. */
export const formatAutomaton = (format: string): Automaton | undefined => {
  const pattern = TEXT_FORMATS[format];
  return pattern === undefined ? undefined : remember(`format ${format}`, () => wholeAutomaton(pattern));
};

/** The schemas of a property: what every object schema says about its name. */
export const propertySchemas = (document: SchemaDocument, rules: readonly PropertyRules[], name: string): Conjunction =>
  rules.flatMap((rule) => {
    const own = rule.properties.get(name);
    const matching = [...rule.patterns].filter(([pattern]) =>
      matches(patternAutomaton(document, pattern, rule.at, 'patternProperties'), name),
    );
    const found = [...(own ? [own] : []), ...matching.map(([, at]) => at)];
    const rest = rule.additional ? [rule.additional] : [];
    return (found.length > 0 ? found : rest).map((at) => ({ at, skip: [] }));
  });

/** The schemas of an item: what every array schema says about its place. */
export const itemSchemas = (rules: readonly ItemRules[], index: number): Conjunction =>
  rules.flatMap(({ prefix, rest }) => {
    const at = prefix[index] ?? rest;
    return at ? [{ at, skip: [] }] : [];
  });

export const typeOf = (value: unknown): JsonType =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : (typeof value as JsonType);

const hasType = (types: ReadonlySet<JsonType>, value: unknown): boolean =>
  types.has(typeOf(value)) || (types.has('integer') && Number.isInteger(value));

const numberFits = ({ numbers, strings }: Shape, value: number): boolean => {
  const formats = strings.formats.flatMap(({ format }) => INTEGER_FORMATS[format] ?? []);
  const { minimum = value, maximum = value, exclusiveMinimum, exclusiveMaximum } = numbers;
  return (
    value >= minimum &&
    value <= maximum &&
    (exclusiveMinimum === undefined || value > exclusiveMinimum) &&
    (exclusiveMaximum === undefined || value < exclusiveMaximum) &&
    numbers.multiples.every((divisor) => isMultiple(value, divisor)) &&
    (formats.length === 0 ||
      (Number.isInteger(value) &&
        value >= Math.max(...formats.filter((bound) => bound < 0)) &&
        value <= Math.min(...formats.filter((bound) => bound > 0))))
  );
};

const textFits = (document: SchemaDocument, { strings }: Shape, value: string): boolean => {
  const length = [...value].length;
  return (
    length >= strings.minLength &&
    length <= strings.maxLength &&
    strings.patterns.every(({ pattern, at }) => matches(patternAutomaton(document, pattern, at), value)) &&
    strings.formats.every(({ format }) => {
      const automaton = formatAutomaton(format);
      return !automaton || matches(automaton, value);
    })
  );
};

/**
 * Whether a value satisfies schemas.
 * @param inside unions that the same value is tried with: within itself, one of them adds nothing
 */
export const satisfies = (
  document: SchemaDocument,
  schemas: Conjunction,
  value: unknown,
  inside: ReadonlySet<string> = new Set(),
): boolean => {
  const shape = shapeOf(document, schemas);
  if (!shape.isPossible) return false;
  if (shape.types && !hasType(shape.types, value)) return false;
  if (shape.values && !shape.values.some((allowed) => canonical(allowed) === canonical(value))) return false;
  if (typeof value === 'number' && !numberFits(shape, value)) return false;
  if (typeof value === 'string' && !textFits(document, shape, value)) return false;
  if (Array.isArray(value) && !itemsFit(document, shape, value)) return false;
  if (isObject(value) && !propertiesFit(document, shape, value)) return false;
  return shape.unions.every((union) => {
    const key = `${union.part.at.pointer} ${union.keyword}`;
    if (inside.has(key)) return false;
    const within = new Set([...inside, key]);
    const fitting = union.branches.filter((at) => satisfies(document, [{ at, skip: [] }], value, within));
    return union.keyword === 'anyOf' ? fitting.length > 0 : fitting.length === 1;
  });
};

const itemsFit = (document: SchemaDocument, { arrays }: Shape, value: readonly unknown[]): boolean =>
  value.length >= arrays.minimum &&
  value.length <= arrays.maximum &&
  !(arrays.isUnique && new Set(value.map(canonical)).size < value.length) &&
  !arrays.rules.some(({ isClosed, rest, prefix }) => isClosed && !rest && value.length > prefix.length) &&
  value.every((item, i) => satisfies(document, itemSchemas(arrays.rules, i), item));

const propertiesFit = (
  document: SchemaDocument,
  { objects }: Shape,
  value: Readonly<Record<string, unknown>>,
): boolean => {
  const names = Object.keys(value);
  const isClosed = objects.rules.some((rule) => rule.isClosed) && !objects.rules.some((rule) => rule.additional);
  const isListed = (name: string) => objects.rules.some(({ properties }) => properties.has(name));
  return (
    names.length >= objects.minimum &&
    names.length <= objects.maximum &&
    [...objects.required].every((name) => Object.hasOwn(value, name)) &&
    names.every(
      (name) =>
        (!isClosed || isListed(name)) &&
        satisfies(document, propertySchemas(document, objects.rules, name), value[name]) &&
        satisfies(
          document,
          objects.names.map((at) => ({ at, skip: [] })),
          name,
        ),
    )
  );
};

const overlap = (a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): boolean =>
  [...a].some(
    (type) => b.has(type) || (type === 'integer' && b.has('number')) || (type === 'number' && b.has('integer')),
  );

/** Whether what is generated for an object always breaks another schema of objects. */
const objectsDiffer = (document: SchemaDocument, made: Shape, other: Shape, depth: number): boolean => {
  const isNamed = (shape: Shape, name: string) => shape.objects.rules.some(({ properties }) => properties.has(name));
  const isOpen = made.objects.rules.some(
    ({ additional, patterns }) => patterns.size > 0 || (additional && additional.schema !== false),
  );
  const hasNames = made.objects.rules.some(({ properties }) => properties.size > 0);
  const mayHave = (name: string) => isOpen || !hasNames || isNamed(made, name) || made.objects.required.has(name);
  if ([...other.objects.required].some((name) => !mayHave(name))) return true;
  return [...made.objects.required].some((name) => {
    const theirs = propertySchemas(document, other.objects.rules, name);
    return (
      theirs.length > 0 && differ(document, propertySchemas(document, made.objects.rules, name), theirs, depth + 1)
    );
  });
};

/** Whether nothing that is generated for some schemas satisfies others. False where that is not certain. */
export const differ = (document: SchemaDocument, made: Conjunction, other: Conjunction, depth = 0): boolean => {
  if (depth > MAX_COMPARED_DEPTH) return false;
  const [mine, theirs] = [shapeOf(document, made), shapeOf(document, other)];
  if (!mine.isPossible || !theirs.isPossible) return true;
  if (mine.values)
    return mine.values.every((value) => !satisfies(document, made, value) || !satisfies(document, other, value));
  if (theirs.values) return theirs.values.every((value) => !satisfies(document, made, value));
  const types = typesOf(mine);
  if (theirs.types && !overlap(types, theirs.types)) return true;
  const onlyObjects = types.size === 1 && types.has('object');
  if (onlyObjects && objectsDiffer(document, mine, theirs, depth)) return true;
  const [union] = mine.unions;
  if (union) return union.branches.every((branch) => differ(document, choose(mine, union, branch), other, depth + 1));
  return theirs.unions.some((each) =>
    each.branches.every((branch) => differ(document, made, choose(theirs, each, branch), depth + 1)),
  );
};
