/** What a request says its answer's text must be. */
import { z } from 'zod';
import type { OutputConstraint } from '../../runtime/api.ts';
import { invalidParam, optional } from './body-schema.ts';
import { jsonObject } from './tools.ts';

/** A JSON Schema: an object, or a boolean that allows everything or nothing. */
export const jsonSchema = z.union([jsonObject, z.boolean()]);

/** What OpenAI's routes say of a schema. `strict` or not, an answer always satisfies it. */
export const namedSchemaFields = {
  name: z.string().min(1),
  description: optional(z.string()),
  schema: optional(jsonSchema),
  strict: optional(z.boolean()),
};

export const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['text', 'json_object']) }),
  z.object({ type: z.literal('json_schema'), json_schema: z.object(namedSchemaFields) }),
]);

/** Our own extras: xgrammar's EBNF, and a regular expression. */
export const constraintFields = { grammar: optional(z.string().min(1)), regex: optional(z.string().min(1)) };

interface ConstrainedBody {
  readonly grammar?: string | null | undefined;
  readonly regex?: string | null | undefined;
}

/** @param schema absent: any JSON object. @param param its field, for errors */
export const schemaConstraint = (
  schema: z.output<typeof jsonSchema> | null | undefined,
  param: string,
): OutputConstraint =>
  schema === undefined || schema === null ? { kind: 'json_object' } : { kind: 'json_schema', schema, param };

export const formatConstraint = (
  format: z.output<typeof responseFormat> | null | undefined,
): OutputConstraint | undefined => {
  if (format?.type === 'json_schema')
    return schemaConstraint(format.json_schema.schema, 'response_format.json_schema.schema');
  return format?.type === 'json_object' ? { kind: 'json_object' } : undefined;
};

/**
 * The one constraint of a body; undefined: the text is free.
 * @param format what the dialect's own field asks for, and the field's name
 * @throws EngineError invalid_request when a body has several
 */
export const constraintOf = (
  { grammar, regex }: ConstrainedBody,
  format?: OutputConstraint,
  formatParam = 'response_format',
): OutputConstraint | undefined => {
  const found: (readonly [param: string, constraint: OutputConstraint])[] = [];
  if (format) found.push([formatParam, format]);
  if (grammar) found.push(['grammar', { kind: 'grammar', ebnf: grammar, param: 'grammar' }]);
  if (regex) found.push(['regex', { kind: 'regex', pattern: regex, param: 'regex' }]);
  const [first, second] = found;
  if (first !== undefined && second !== undefined)
    throw invalidParam(second[0], `cannot be combined with ${first[0]}: an answer follows one format`);
  return first?.[1];
};
