/** The vendors' OpenAPI documents as validators. Absent where the test data is: then nothing is checked, and nothing counted. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect } from 'vitest';
import { testData } from './test-data.ts';

const FILES = {
  openai: 'schemas/openai-openapi.json',
  anthropic: 'schemas/anthropic-openapi.json',
  'open-responses': 'schemas/open-responses.json',
} as const;

export type Vendor = keyof typeof FILES;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** OpenAPI 3.0's `nullable`, which the 3.1 documents still use and JSON Schema does not know. */
const withoutNullable = (node: Json): Json => {
  if (Array.isArray(node)) return node.map(withoutNullable);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest } = node as Record<string, Json>;
  const schema = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, withoutNullable(value)]));
  return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema;
};

const load = (vendor: Vendor): Ajv2020 | undefined => {
  const file = testData(FILES[vendor]);
  if (file === undefined) return undefined;
  const ajv = new Ajv2020({ strict: false, validateSchema: false, allErrors: false });
  // The package is CommonJS: its default export is the namespace's `default` for some loaders.
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addFormat('unixtime', true);
  const document = withoutNullable(JSON.parse(readFileSync(file, 'utf8')) as Json);
  ajv.addSchema(document as object, vendor);
  return ajv;
};

const loaded = new Map<Vendor, Ajv2020 | undefined>();
const counts = new Map<Vendor, number>();

/** Fails unless `value` is what the vendor's document calls `schemaName`. */
export const expectSchema = (vendor: Vendor, schemaName: string, value: unknown): void => {
  if (!loaded.has(vendor)) loaded.set(vendor, load(vendor));
  const ajv = loaded.get(vendor);
  if (ajv === undefined) return;
  const reference = `${vendor}#/components/schemas/${schemaName}`;
  const validate = ajv.getSchema(reference);
  if (validate === undefined) throw new Error(`${vendor} has no schema ${schemaName}`);
  const isValid = validate(value);
  counts.set(vendor, (counts.get(vendor) ?? 0) + 1);
  expect({ isValid, errors: validate.errors ?? [], value: isValid ? undefined : value }).toEqual({
    isValid: true,
    errors: [],
    value: undefined,
  });
};

/** OpenAI writes `usage: null` before the end, which its own document does not allow. */
const asOpenaiWrites = (value: object): unknown =>
  JSON.parse(JSON.stringify(value, (key, inner) => (key === 'usage' && inner === null ? undefined : inner)));

/** A response object, by OpenAI's document and by Open Responses', which wants more keys, though functions alone as tools. */
export const expectResponse = (response: object): void => {
  expectSchema('openai', 'Response', asOpenaiWrites(response));
  expectSchema('open-responses', 'ResponseResource', response);
};

/** Events that OpenAI's document lists; `keepalive`, which its SDK knows, it does not. */
export const expectResponseEvent = (event: { readonly type: string }): void =>
  expectSchema('openai', 'ResponseStreamEvent', asOpenaiWrites(event));

/** How many values were checked so far; undefined without the documents. */
export const numChecked = (vendor: Vendor): number | undefined =>
  testData(FILES[vendor]) === undefined ? undefined : (counts.get(vendor) ?? 0);
