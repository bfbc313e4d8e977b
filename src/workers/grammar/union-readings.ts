/** Whether the text of a value can be read as one schema of a union only, before any string in it that has an inset. */
import { propertySchemas, typeOf } from './satisfies.ts';
import type { SchemaDocument } from './schema-document.ts';
import { type Conjunction, canonical, choose, type JsonType, shapeOf, typesOf } from './schema-shape.ts';

/** Types whose values may be insets or hold some. */
const HOLDING: ReadonlySet<JsonType> = new Set(['object', 'array', 'string']);

/** Those types of a schema's values that may hold insets, perhaps more. */
const mayBe = (document: SchemaDocument, schemas: Conjunction, seen = new Set<string>()): ReadonlySet<JsonType> => {
  const shape = shapeOf(document, schemas);
  const [union] = shape.unions;
  const own = shape.values ? shape.values.map(typeOf) : [...typesOf(shape)];
  if (!union || shape.types || shape.values) return new Set(own.filter((type) => HOLDING.has(type)));
  return new Set(
    union.branches.flatMap((branch) => {
      if (seen.has(branch.pointer)) return [...HOLDING];
      seen.add(branch.pointer);
      return [...mayBe(document, choose(shape, union, branch), seen)];
    }),
  );
};

/** The member that an object begins with, and its values; undefined: it may begin in other ways. */
const firstMember = (document: SchemaDocument, schemas: Conjunction): readonly string[] | undefined => {
  const { objects, unions } = shapeOf(document, schemas);
  const name = objects.rules.flatMap(({ properties }) => [...properties.keys()])[0];
  if (name === undefined || unions.length > 0 || !objects.required.has(name)) return undefined;
  const { values } = shapeOf(document, propertySchemas(document, objects.rules, name));
  return values && [name, ...new Set(values.map(canonical))];
};

/** By their first byte, or the first member of objects: `kind` of `{"kind": "circle", …}` and `{"kind": "line", …}`. */
export const areReadApart = (document: SchemaDocument, choices: readonly Conjunction[]): boolean => {
  const types = choices.map((choice) => mayBe(document, choice));
  const numOf = (type: JsonType): number => types.filter((each) => each.has(type)).length;
  if (numOf('string') > 1 || numOf('array') > 1) return false;
  const objects = choices.filter((_, i) => types[i]!.has('object'));
  if (objects.length < 2) return true;
  const members = objects.map((choice) => firstMember(document, choice));
  const values = members.flatMap((member) => member?.slice(1) ?? []);
  return (
    members.every((member) => member !== undefined && member[0] === members[0]?.[0]) &&
    new Set(values).size === values.length
  );
};
