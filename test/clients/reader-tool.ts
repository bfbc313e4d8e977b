/** The one tool that the SDKs are given, and a conversation that needs it. */
import { randomUUID } from 'node:crypto';
import { toolLoop } from './scripts.ts';

export const READ_FILE = {
  name: 'read_file',
  description: 'Reads a file',
  parameters: {
    type: 'object' as const,
    properties: { path: { type: 'string' } },
    required: ['path'],
    additionalProperties: false,
  },
};

/** The model calls the tool once, and answers what `readFile` gives. */
export const readerLoop = () => {
  // Engines of equal scripts are shared: what one test has used up, another would miss.
  const secret = randomUUID();
  const readFile = ({ path }: { path: string }): string => {
    if (path !== 'notes.txt') throw new Error(`there is no ${path}`);
    return secret;
  };
  return { ...toolLoop(secret, READ_FILE.name, { path: 'notes.txt' }), readFile };
};

/** The arguments of a call, from JSON. */
export const parseArguments = (text: string): { path: string } => JSON.parse(text) as { path: string };

export const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, people: { type: 'integer' } },
  required: ['city', 'people'],
  additionalProperties: false,
};

export const OBJECT = { city: 'Oslo', people: 3 };
