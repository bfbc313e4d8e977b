/** The API's description. Source: OpenAPI Specification 3.1.1. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Operation } from '../operation.ts';

const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';

/** A JSON Schema; what zod checks beyond JSON Schema is left out. */
export const schemaOf = (schema: z.ZodType): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
};

/** Whoever takes `stream` answers in two forms. */
const canStream = (schema: object): boolean => 'stream' in ((schema as { properties?: object }).properties ?? {});

const parametersOf = ({ path, query = {} }: Operation): object[] => [
  ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  })),
  ...Object.entries(query).map(([name, description]) => ({
    name,
    in: 'query',
    description,
    schema: { type: 'string' },
  })),
];

const bodyOf = ({ body, bodyIsOptional, takes }: Operation): object | undefined => {
  if (takes !== undefined) return { required: true, content: { [takes]: {} } };
  if (body === undefined) return undefined;
  return { required: bodyIsOptional !== true, content: { [JSON_TYPE]: { schema: schemaOf(body) } } };
};

const operationId = ({ method, path }: Operation): string =>
  [method.toLowerCase(), ...path.split(/[^\w]+/).filter((word) => word !== '')].join('_');

const operationOf = (operation: Operation): object => {
  const { summary, body, answers = JSON_TYPE } = operation;
  const parameters = parametersOf(operation);
  const requestBody = bodyOf(operation);
  const types = body !== undefined && canStream(schemaOf(body)) ? [answers, SSE_TYPE] : [answers];
  const content = Object.fromEntries(types.map((type) => [type, {}]));
  return {
    operationId: operationId(operation),
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: {
      '2XX': { description: 'Done', content },
      default: { description: "An error, in the dialect's own form", content: { [JSON_TYPE]: {} } },
    },
  };
};

const packageVersion = (): string => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
};

/** The whole document; request bodies are what the routes themselves check. */
export const openapiDocument = (operations: readonly Operation[]): object => {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {};
    paths[operation.path]![operation.method.toLowerCase()] = operationOf(operation);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Firstlight',
      version: packageVersion(),
      description: 'A local LLM inference server that speaks the OpenAI and the Anthropic dialect.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    // Where the server has keys, either will do; without keys, none is looked at.
    security: [{ bearer: [] }, { apiKey: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
  };
};
