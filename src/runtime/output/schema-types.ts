/** Which JSON types a tool's parameter may have, by the tool's schema. */
import type { ToolDefinition } from '../api.ts';

export type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array' | 'null';

type Schema = Readonly<Record<string, unknown>>;

/** References and combinations deeper than this are taken for anything. */
const MAX_DEPTH = 8;

const asSchema = (value: unknown): Schema | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : undefined;

/** The types of one parameter; undefined: any, or the schema does not say. */
export const parameterTypes = (tool: ToolDefinition, name: string): ReadonlySet<JsonType> | undefined => {
  const root = asSchema(tool.parameters);
  const properties = asSchema(root?.properties);
  if (!root || !properties || !Object.hasOwn(properties, name)) return undefined;
  return typesOf(properties[name], root, 0);
};

const typesOf = (value: unknown, root: Schema, depth: number): ReadonlySet<JsonType> | undefined => {
  const schema = asSchema(value);
  if (!schema || depth > MAX_DEPTH) return undefined;
  if (typeof schema.$ref === 'string') return typesOf(resolve(schema.$ref, root), root, depth + 1);
  if (schema.type !== undefined) return new Set([schema.type].flat() as JsonType[]);
  if (Array.isArray(schema.enum)) return new Set(schema.enum.map(typeOf));
  if ('const' in schema) return new Set([typeOf(schema.const)]);
  const choices = [schema.anyOf, schema.oneOf, schema.allOf].find((list) => Array.isArray(list)) as
    | unknown[]
    | undefined;
  if (!choices) return undefined;
  const types = choices.map((choice) => typesOf(choice, root, depth + 1));
  return types.some((set) => set === undefined) ? undefined : new Set(types.flatMap((set) => [...set!]));
};

/** What a local reference (`#/$defs/x`) points at. */
const resolve = (reference: string, root: Schema): unknown => {
  if (!reference.startsWith('#')) return undefined;
  let found: unknown = root;
  for (const part of reference.split('/').slice(1)) {
    found = asSchema(found)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return found;
};

export const typeOf = (value: unknown): JsonType => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  return type === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : (type as JsonType);
};
