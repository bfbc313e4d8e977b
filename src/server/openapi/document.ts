/** The API's description. Source: OpenAPI Specification 3.1.1. */
import { readFileSync } from 'node:fs';
import type { Operation, SocketOperation } from '../operation.ts';
import type { RouteAccess } from '../plain-route.ts';
import { SOCKET_ROUTES } from '../sockets/index.ts';
import { REQUEST_HEADERS } from './answer-headers.ts';
import { type ComponentSchemas, componentSchemas, type Json, schemaRef } from './component-schemas.ts';
import { OPERATION_GROUPS } from './operations.ts';
import { errorResponses, headerComponents, responsesOf, socketResponses } from './responses.ts';

const JSON_TYPE = 'application/json';

const parametersOf = ({ path, query = {}, headers = [] }: Operation): Json[] => [
  ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  })),
  ...Object.entries(query).map(([name, { description, schema = { type: 'string' } }]) => ({
    name,
    in: 'query',
    description,
    schema,
  })),
  ...headers.map((name) => ({ name, in: 'header', ...REQUEST_HEADERS[name] })),
];

const bodyOf = ({ body, bodyIsOptional, takes }: Operation, { bodyName }: ComponentSchemas): Json => {
  if (takes !== undefined) return { requestBody: { required: true, content: { [takes]: {} } } };
  if (body === undefined) return {};
  const content = { [JSON_TYPE]: { schema: schemaRef(bodyName(body)) } };
  return { requestBody: { required: bodyIsOptional !== true, content } };
};

const WHO_MAY_ASK: Readonly<Record<RouteAccess, string>> = {
  everyone: 'Needs no key.',
  probes: "Needs no key on the server's own machine.",
  'this machine': "For programs on the server's own machine alone.",
};

const operationOf = (operation: Operation, tag: string, schemas: ComponentSchemas): Json => {
  const { id, summary, access } = operation;
  const parameters = parametersOf(operation);
  return {
    operationId: id,
    summary,
    tags: [tag],
    ...(access === undefined ? {} : { description: WHO_MAY_ASK[access] }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(operation, schemas),
    responses: responsesOf(operation),
    ...(access === 'everyone' ? { security: [] } : {}),
  };
};

const SOCKETS = 'WebSockets';

/** Of the handshake; OpenAPI has no words for what follows. */
const socketOf = (socket: SocketOperation): Json => ({
  operationId: socket.id,
  summary: socket.summary,
  description:
    'Answers the handshake of a WebSocket; any other GET is refused with 405. Frames are JSON in text messages, or ' +
    'MessagePack in binary ones where the sub-protocol says so. A page, which cannot set headers, sends its key as a ' +
    'sub-protocol: `firstlight.key.` and the key in base64url.',
  tags: [SOCKETS],
  parameters: [
    { name: 'upgrade', in: 'header', required: true, schema: { type: 'string', enum: ['websocket'] } },
    {
      name: 'sec-websocket-protocol',
      in: 'header',
      description: `Any of ${socket.protocols.join(', ')}; absent: JSON.`,
      schema: { type: 'string' },
    },
  ],
  responses: socketResponses(socket),
  'x-firstlight-websocket': {
    protocols: socket.protocols,
    client: schemaRef(socket.clientFrame),
    server: schemaRef(socket.serverFrame),
  },
});

const pathsOf = (schemas: ComponentSchemas): Json => {
  const paths: Record<string, Json> = {};
  const add = (path: string, method: string, operation: Json): void => {
    paths[path] = { ...paths[path], [method]: operation };
  };
  for (const { name, operations } of OPERATION_GROUPS) {
    for (const each of operations) add(each.path, each.method.toLowerCase(), operationOf(each, name, schemas));
  }
  for (const each of SOCKET_ROUTES) add(each.path, 'get', socketOf(each));
  return paths;
};

const packageVersion = (): string => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
};

const DESCRIPTION =
  'A local LLM inference server that speaks the OpenAI and the Anthropic dialect. Bodies may be compressed ' +
  '(`content-encoding`: gzip, deflate, br, and zstd where the server’s Node has it). Paths that answer GET with JSON ' +
  'mostly answer HEAD, too, and all answer OPTIONS. Objects may get further fields in later versions.';

/** The whole document; request bodies are what the routes themselves check. */
export const openapiDocument = () => {
  const schemas = componentSchemas(OPERATION_GROUPS.flatMap(({ operations }) => operations));
  const paths = pathsOf(schemas);
  return {
    openapi: '3.1.1',
    info: {
      title: 'Firstlight',
      version: packageVersion(),
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    // Where the server has keys, either will do; without keys, none is looked at.
    security: [{ bearer: [] }, { apiKey: [] }, {}],
    tags: [
      ...OPERATION_GROUPS.map(({ name, description }) => ({ name, description })),
      { name: SOCKETS, description: 'Streams over WebSockets.' },
    ],
    paths,
    components: {
      schemas: schemas.schemas,
      responses: errorResponses(paths),
      headers: headerComponents(),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'One of the server’s keys, where it has any.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same; it counts first.' },
      },
    },
  };
};
