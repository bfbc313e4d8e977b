/** Everything that the server answers, in the order in which its description shows it. */
import { AGENT_OPERATIONS } from '../agents-route.ts';
import { COORDINATION_OPERATIONS } from '../coordination/operations.ts';
import { DIALECTS } from '../dialects/index.ts';
import { MODEL_OPERATIONS } from '../models-route.ts';
import type { Operation } from '../operation.ts';
import { RESPONSE_OPERATIONS } from '../responses/routes.ts';
import { STREAM_OPERATIONS } from '../resume/route.ts';
import { SESSION_OPERATIONS } from '../sessions-route.ts';
import { STORE_OPERATIONS } from '../store-route.ts';
import { TOKEN_OPERATIONS } from '../tokens-route.ts';

const TEXT = 'text/plain';

const SERVER_OPERATIONS: readonly Operation[] = [
  { method: 'GET', path: '/health', summary: '503 above 90% of the KV pool, or while draining' },
  { method: 'GET', path: '/health/ready', summary: 'The same' },
  { method: 'GET', path: '/health/live', summary: 'That the process answers' },
  { method: 'GET', path: '/metrics', summary: 'Counts and times for Prometheus', answers: TEXT },
  { method: 'GET', path: '/openapi.json', summary: 'This document' },
  { method: 'GET', path: '/docs', summary: 'This document as a page', answers: 'text/html' },
  { method: 'GET', path: '/', summary: 'A greeting', answers: TEXT },
  { method: 'GET', path: '/api/hello', summary: 'A greeting', answers: TEXT },
];

const dialectOperations = (): Operation[] =>
  DIALECTS.flatMap(({ routes }) => routes.map(({ path, summary, body }) => ({ method: 'POST', path, summary, body })));

export const OPERATIONS: readonly Operation[] = [
  ...dialectOperations(),
  ...RESPONSE_OPERATIONS,
  ...STREAM_OPERATIONS,
  ...MODEL_OPERATIONS,
  ...TOKEN_OPERATIONS,
  ...SESSION_OPERATIONS,
  ...COORDINATION_OPERATIONS,
  ...AGENT_OPERATIONS,
  ...STORE_OPERATIONS,
  ...SERVER_OPERATIONS,
];
