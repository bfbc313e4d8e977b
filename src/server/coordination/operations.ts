/** What the coordination routes offer, for the API's description. */
import type { z } from 'zod';
import type { SchemaName } from '../openapi/schemas/index.ts';
import type { Operation } from '../operation.ts';
import { createBody, messageBody, roundBody, turnBody, voteBody, whisperBody } from './bodies.ts';

const PATH = '/v1/coordination/sessions';

const channel = {
  channel: {
    description: 'which messages; absent: the public ones, and all where every turn is a whisper',
    schema: { type: 'string', enum: ['public', 'whisper', 'all'] },
  },
};

interface Action {
  readonly id: string;
  readonly name: string;
  readonly summary: string;
  readonly body: z.ZodType;
  readonly json: SchemaName;
  readonly events: SchemaName;
}

/** The same twice: answered whole unless the body has `stream`, and streamed in any case. */
const action = ({ id, name, summary, body, json, events }: Action): Operation[] => {
  const operation = {
    id,
    method: 'POST',
    path: `${PATH}/{id}/${name}`,
    summary,
    body,
    ...(body.safeParse({}).success ? ({ bodyIsOptional: true } as const) : {}),
    errors: [409, 429],
  } as const;
  return [
    { ...operation, answers: { 200: { json, events } } },
    {
      ...operation,
      id: `${id}Streamed`,
      path: `${operation.path}/stream`,
      summary: `${summary}, streamed`,
      answers: { 200: { events } },
    },
  ];
};

export const COORDINATION_OPERATIONS: readonly Operation[] = [
  {
    id: 'listCoordinationSessions',
    method: 'GET',
    path: PATH,
    summary: 'Your conversations of several agents',
    answers: { 200: 'CoordinationList' },
  },
  {
    id: 'createCoordinationSession',
    method: 'POST',
    path: PATH,
    summary: 'Set agents on a topic',
    body: createBody,
    answers: { 201: 'CoordinationSession' },
    errors: [404, 429],
  },
  {
    id: 'getCoordinationSession',
    method: 'GET',
    path: `${PATH}/{id}`,
    summary: 'The state of a conversation',
    answers: { 200: 'CoordinationDetails' },
  },
  {
    id: 'deleteCoordinationSession',
    method: 'DELETE',
    path: `${PATH}/{id}`,
    summary: 'End a conversation',
    answers: { 204: {} },
  },
  ...action({
    id: 'takeTurn',
    name: 'turn',
    summary: 'One agent speaks',
    body: turnBody,
    json: 'CoordinationTurn',
    events: 'CoordinationTurnStreamEvent',
  }),
  ...action({
    id: 'takeRound',
    name: 'round',
    summary: 'Each agent speaks once',
    body: roundBody,
    json: 'CoordinationRound',
    events: 'CoordinationRoundStreamEvent',
  }),
  ...action({
    id: 'whisper',
    name: 'whisper',
    summary: 'One agent tells another something',
    body: whisperBody,
    json: 'CoordinationTurn',
    events: 'CoordinationWhisperStreamEvent',
  }),
  ...action({
    id: 'vote',
    name: 'vote',
    summary: 'Agents are asked, and their answers counted',
    body: voteBody,
    json: 'CoordinationVoteAnswer',
    events: 'CoordinationVoteStreamEvent',
  }),
  {
    id: 'listCoordinationMessages',
    method: 'GET',
    path: `${PATH}/{id}/messages`,
    summary: 'What was said',
    query: { ...channel, stream: { description: 'true: as at /stream', schema: { type: 'boolean' } } },
    answers: { 200: { json: 'CoordinationMessages', events: 'CoordinationMessageStreamEvent' } },
  },
  {
    id: 'postCoordinationMessage',
    method: 'POST',
    path: `${PATH}/{id}/messages`,
    summary: 'A word from outside',
    body: messageBody,
    answers: { 200: 'CoordinationPosted' },
    errors: [409],
  },
  {
    id: 'followCoordinationMessages',
    method: 'GET',
    path: `${PATH}/{id}/messages/stream`,
    summary: 'What was said and will be',
    query: channel,
    answers: { 200: { events: 'CoordinationMessageStreamEvent' } },
    errors: [429],
  },
  {
    id: 'forgetCoordinationCaches',
    method: 'DELETE',
    path: '/v1/coordination/caches/{prefix}',
    summary: "Forget permanent agents' KV",
    answers: { 204: {} },
  },
];
