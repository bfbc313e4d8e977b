/** What the coordination routes offer, for the API's description. */
import type { z } from 'zod';
import type { Operation } from '../operation.ts';
import { createBody, messageBody, roundBody, turnBody, voteBody, whisperBody } from './bodies.ts';

const PATH = '/v1/coordination/sessions';
const SSE = 'text/event-stream';

const channel = { channel: 'public, whisper or all' };

const action = (name: string, summary: string, body: z.ZodType): Operation[] => {
  const operation = { method: 'POST', path: `${PATH}/{id}/${name}`, summary, body } as const;
  const isOptional = body.safeParse({}).success ? ({ bodyIsOptional: true } as const) : {};
  return [
    { ...operation, ...isOptional },
    { ...operation, ...isOptional, path: `${operation.path}/stream`, summary: `${summary}, streamed`, answers: SSE },
  ];
};

export const COORDINATION_OPERATIONS: readonly Operation[] = [
  { method: 'GET', path: PATH, summary: 'Your conversations of several agents' },
  { method: 'POST', path: PATH, summary: 'Set agents on a topic', body: createBody },
  { method: 'GET', path: `${PATH}/{id}`, summary: 'The state of a conversation' },
  { method: 'DELETE', path: `${PATH}/{id}`, summary: 'End a conversation' },
  ...action('turn', 'One agent speaks', turnBody),
  ...action('round', 'Each agent speaks once', roundBody),
  ...action('whisper', 'One agent tells another something', whisperBody),
  ...action('vote', 'Agents are asked, and their answers counted', voteBody),
  {
    method: 'GET',
    path: `${PATH}/{id}/messages`,
    summary: 'What was said',
    query: { ...channel, stream: 'true: as at /stream' },
  },
  { method: 'POST', path: `${PATH}/{id}/messages`, summary: 'A word from outside', body: messageBody },
  {
    method: 'GET',
    path: `${PATH}/{id}/messages/stream`,
    summary: 'What was said and will be',
    query: channel,
    answers: SSE,
  },
  { method: 'DELETE', path: '/v1/coordination/caches/{prefix}', summary: "Forget permanent agents' KV" },
];
