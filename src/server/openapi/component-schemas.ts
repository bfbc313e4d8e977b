/** Request bodies and answers as JSON Schemas that refer to each other by name. */
import { z } from 'zod';
import { SKIPPED_TOOL } from '../dialects/openai-responses-body.ts';
import type { Operation } from '../operation.ts';
import { SCHEMAS } from './schemas/index.ts';

export type Json = Record<string, unknown>;

export const schemaRef = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

export interface ComponentSchemas {
  /** By name. */
  readonly schemas: Readonly<Record<string, Json>>;
  /** The name of an operation's body. */
  bodyName(body: z.ZodType): string;
}

/** What zod checks beyond JSON Schema is left out. */
export const componentSchemas = (operations: readonly Operation[]): ComponentSchemas => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  for (const { id, body } of operations) {
    // The first of several operations with one body gives it its name.
    if (body !== undefined && !registry.has(body)) registry.add(body, { id: `${capitalized(id)}Request` });
  }
  const { schemas } = z.toJSONSchema(registry, {
    // What is optional may be absent, and what comes beyond the schema does not break it.
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => schemaRef(id).$ref as string,
    override: ({ zodSchema, jsonSchema }) => tidy(jsonSchema as Json, z.globalRegistry.get(zodSchema)?.description),
  });
  return {
    schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutIds(schema as Json)])),
    bodyName: (body) => registry.get(body)?.id ?? '',
  };
};

const capitalized = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1)}`;

const withoutIds = ({ $schema: _schema, $id: _id, ...schema }: Json): Json => schema;

/** Takes out what says nothing, and adds what zod keeps elsewhere. */
const tidy = (schema: Json, description: string | undefined): void => {
  if (description !== undefined) schema.description ??= description;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  // The pattern says the format once more, at length.
  if (schema.format === 'date-time' || schema.format === 'base64') delete schema.pattern;
  if (schema.format === schema.contentEncoding) delete schema.format;
  // What may be anything, or null, may be anything.
  if (Array.isArray(schema.anyOf) && schema.anyOf.some((each) => Object.keys(each as Json).length === 0))
    delete schema.anyOf;
  // Of one possible value the default says nothing, but generators take what has one for required.
  if ('const' in schema) delete schema.default;
  if (schema.const === SKIPPED_TOOL) {
    delete schema.const;
    schema.description = 'Any other: a tool of such a type is skipped.';
  }
  // A skipped tool's type may be any, so that one tool can fit two of them.
  if (schema.oneOf !== undefined) {
    schema.anyOf = schema.oneOf;
    delete schema.oneOf;
  }
};
