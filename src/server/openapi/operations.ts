/** Everything that the server answers, in the order in which its description shows it. */
import { AGENT_OPERATIONS } from '../agents-route.ts';
import { COORDINATION_OPERATIONS } from '../coordination/operations.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/index.ts';
import { MODEL_OPERATIONS } from '../models-route.ts';
import type { Operation } from '../operation.ts';
import { RESPONSE_OPERATIONS } from '../responses/routes.ts';
import { STREAM_OPERATIONS } from '../resume/route.ts';
import { SESSION_OPERATIONS } from '../sessions-route.ts';
import { STORE_OPERATIONS } from '../store-route.ts';
import { TOKEN_OPERATIONS } from '../tokens-route.ts';

const UNCHANGED = { description: 'What the client has is still right.', headers: ['etag'] } as const;

const TEXT = { types: ['text/plain'] };

const health = { 200: 'Health', 503: 'Health' } as const;

const SERVER_OPERATIONS: readonly Operation[] = [
  {
    id: 'getHealth',
    method: 'GET',
    path: '/health',
    summary: '503 above 90% of the KV pool, or while draining',
    access: 'probes',
    answers: health,
  },
  { id: 'getReadiness', method: 'GET', path: '/health/ready', summary: 'The same', access: 'probes', answers: health },
  {
    id: 'getLiveness',
    method: 'GET',
    path: '/health/live',
    summary: 'That the process answers',
    access: 'probes',
    answers: { 200: 'Liveness' },
  },
  {
    id: 'getMetrics',
    method: 'GET',
    path: '/metrics',
    summary: 'Counts and times for Prometheus',
    access: 'probes',
    answers: { 200: TEXT },
  },
  {
    id: 'getDescription',
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    answers: { 200: { types: ['application/json'] } },
    access: 'everyone',
  },
  {
    id: 'getDocs',
    method: 'GET',
    path: '/docs',
    summary: 'This document as a page',
    answers: { 200: { types: ['text/html'] } },
    access: 'everyone',
  },
  {
    id: 'getHello',
    method: 'GET',
    path: '/api/hello',
    summary: 'A greeting',
    answers: { 200: TEXT },
    access: 'everyone',
  },
];

const PAGE_OPERATIONS: readonly Operation[] = [
  {
    id: 'getGreeting',
    method: 'GET',
    path: '/',
    summary: 'A greeting; browsers, which accept text/html, get the chat page',
    answers: { 200: { types: ['text/plain', 'text/html'], headers: ['etag'] }, 304: UNCHANGED },
    access: 'everyone',
  },
  {
    id: 'getPageFile',
    method: 'GET',
    path: '/assets/{folder}/{file}',
    summary: 'A file of the chat page',
    answers: { 200: { types: ['text/css', 'text/javascript', 'image/svg+xml'], headers: ['etag'] }, 304: UNCHANGED },
    errors: [404],
    access: 'everyone',
  },
];

/** Of whatever generates, counts or embeds. */
const ENGINE_ERRORS = { openai: [404, 429], anthropic: [404, 529] } as const;
const SESSION_HEADERS = ['x-session-id', 'x-agent-id'] as const;

const dialectOperations = ({ vendor, routes }: Dialect): Operation[] =>
  routes.map(({ path, body, operation: { id, summary, answer, events } }) => ({
    id,
    method: 'POST',
    path,
    summary,
    body,
    answers:
      answer === undefined
        ? {}
        : {
            200: {
              json: answer,
              ...(events === undefined ? {} : { events, headers: ['x-firstlight-cache', 'x-firstlight-stream'] }),
            },
          },
    errors: ENGINE_ERRORS[vendor],
    dialect: vendor,
    headers: [
      ...(vendor === 'anthropic' ? (['anthropic-version'] as const) : []),
      ...(events === undefined ? [] : ([...SESSION_HEADERS, 'x-firstlight-resume'] as const)),
    ],
  }));

/** Operations under one heading. */
export interface OperationGroup {
  readonly name: string;
  readonly description: string;
  readonly operations: readonly Operation[];
}

const dialectsOf = (vendor: Dialect['vendor']): Operation[] =>
  DIALECTS.filter((dialect) => dialect.vendor === vendor).flatMap(dialectOperations);

export const OPERATION_GROUPS: readonly OperationGroup[] = [
  {
    name: 'OpenAI',
    description: "OpenAI's dialect.",
    operations: [...dialectsOf('openai'), ...RESPONSE_OPERATIONS],
  },
  { name: 'Anthropic', description: "Anthropic's dialect.", operations: dialectsOf('anthropic') },
  { name: 'Streams', description: 'Streams that can be taken up again.', operations: STREAM_OPERATIONS },
  {
    name: 'Models',
    description: 'What is served and installed.',
    operations: [...MODEL_OPERATIONS, ...STORE_OPERATIONS],
  },
  { name: 'Tokens', description: "Texts as tokens, under llama.cpp's names.", operations: TOKEN_OPERATIONS },
  { name: 'Sessions', description: 'Named conversations whose KV is kept.', operations: SESSION_OPERATIONS },
  { name: 'Agents', description: "Sessions under agent-memory's names.", operations: AGENT_OPERATIONS },
  {
    name: 'Coordination',
    description: "Several agents in one conversation, under agent-memory's names.",
    operations: COORDINATION_OPERATIONS,
  },
  { name: 'Chat page', description: 'For browsers.', operations: PAGE_OPERATIONS },
  { name: 'Server', description: 'How the server does.', operations: SERVER_OPERATIONS },
];
