/**
 * What it costs to hold answers to a grammar: tokens a second beside a free answer, and the steps that are saved where
 * the text has no alternative.
 *
 *     npx tsx bench/constrained.ts [--model PATH] [--streams 1,8] [--tokens 36] [--rounds 3] [--record]
 *
 * Every answer is checked: free ones for their number of tokens, the others against the expression or the schema.
 */
import { parseArgs } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { createEngine } from '../src/index.ts';
import type { Engine, GenerationEvent, GenerationRequest, OutputConstraint } from '../src/runtime/api.ts';
import { EMBEDDED_MODEL_PATH } from '../src/runtime/config.ts';
import { DEFAULT_SAMPLING } from '../src/runtime/sampling.ts';
import { type Result, recordResults } from './report.ts';

const SCHEMA = {
  type: 'object',
  properties: {
    identification_number: { type: 'integer', minimum: 0, maximum: 999_999 },
    preferred_language: { enum: ['english', 'norwegian', 'portuguese'] },
    is_registered_customer: { type: 'boolean' },
    favourite_colour: { type: 'string', pattern: '^[a-z]{3,9}$' },
    delivery_address: {
      type: 'object',
      properties: { house_number: { type: 'integer', minimum: 1, maximum: 99 }, has_garden: { type: 'boolean' } },
      required: ['house_number', 'has_garden'],
      additionalProperties: false,
    },
  },
  required: [
    'identification_number',
    'preferred_language',
    'is_registered_customer',
    'favourite_colour',
    'delivery_address',
  ],
  additionalProperties: false,
} as const;

interface Case {
  readonly name: string;
  readonly temperature: number;
  readonly constraint?: OutputConstraint;
  /** Throws when the answer is not what was asked for. */
  check(text: string, numTokens: number): void;
}

interface Measured {
  readonly numTokens: number;
  readonly numSteps: number;
  readonly seconds: number;
}

const options = {
  model: { type: 'string', default: EMBEDDED_MODEL_PATH },
  streams: { type: 'string', default: '1,8' },
  tokens: { type: 'string', default: '36' },
  rounds: { type: 'string', default: '3' },
  record: { type: 'boolean', default: false },
} as const;
const { values } = parseArgs({ options });
const numTokens = Number(values.tokens);

const satisfies = new Ajv2020({ strict: false }).compile(SCHEMA);
const letters = /^[a-zA-Z0-9 ,.!?'\n-]*$/;
const assertLength = (count: number): void => {
  if (count !== numTokens) throw new Error(`${count} tokens instead of ${numTokens}`);
};

const CASES: readonly Case[] = [0, 1].flatMap((temperature) => [
  { name: 'free', temperature, check: (_, count) => assertLength(count) },
  {
    name: 'letters only: a mask a token',
    temperature,
    constraint: { kind: 'regex', pattern: `[a-zA-Z0-9 ,.!?'\\n-]{${numTokens * 16}}` },
    check: (text, count) => {
      assertLength(count);
      if (!letters.test(text)) throw new Error(`not letters only: ${text}`);
    },
  },
  {
    name: 'JSON Schema, forced text at once',
    temperature,
    constraint: { kind: 'json_schema', schema: SCHEMA },
    check: (text) => {
      if (!satisfies(JSON.parse(text))) throw new Error(`not what the schema says: ${text}`);
    },
  },
]);

let nextId = 0;
const requestOf = ({ constraint, temperature }: Case, seed: number): GenerationRequest => ({
  id: `bench-${nextId++}`,
  prompt: {
    kind: 'chat',
    messages: [{ role: 'user', content: `Count to ${60 + (seed % 30)}` }],
    continueFinalMessage: false,
  },
  ...(constraint?.kind === 'json_schema' ? { maxTokens: 400 } : { maxTokens: numTokens }),
  stop: [],
  sampling: { ...DEFAULT_SAMPLING, temperature, seed },
  ...(constraint ? { constraint } : {}),
});

const answer = async (engine: Engine, request: GenerationRequest): Promise<{ text: string; numTokens: number }> => {
  const { events } = await engine.generate(request, new AbortController().signal);
  let text = '';
  let last: GenerationEvent | undefined;
  for await (const event of events) {
    if (event.type === 'text') text += event.text;
    last = event;
  }
  if (last?.type !== 'finish') throw new Error('the answer has no end');
  return { text, numTokens: last.usage.completionTokens };
};

const measure = async (engine: Engine, each: Case, numStreams: number, seed: number): Promise<Measured> => {
  const stepsBefore = engine.stats().steps;
  const startMs = performance.now();
  const requests = Array.from({ length: numStreams }, (_, index) => requestOf(each, seed + index));
  const answers = await Promise.all(requests.map((request) => answer(engine, request)));
  const seconds = (performance.now() - startMs) / 1000;
  for (const { text, numTokens: count } of answers) each.check(text, count);
  return {
    numTokens: answers.reduce((sum, { numTokens: count }) => sum + count, 0),
    numSteps: engine.stats().steps - stepsBefore,
    seconds,
  };
};

const engine = await createEngine({ model: values.model });
const results: Result[] = [];
for (const numStreams of values.streams.split(',').map(Number)) {
  for (const each of CASES) {
    // The first answer compiles the grammar, which later ones find.
    const first = await measure(engine, each, 1, 1);
    const rounds: Measured[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push(await measure(engine, each, numStreams, 100 * (round + 1)));
    }
    rounds.sort((a, b) => b.numTokens / b.seconds - a.numTokens / a.seconds);
    const middle = rounds[Math.floor(rounds.length / 2)]!;
    const rate = middle.numTokens / middle.seconds;
    const perStep = middle.numTokens / middle.numSteps;
    const line = `${rate.toFixed(0)} tok/s; ${perStep.toFixed(2)} tokens a step; the first answer took ${(first.seconds * 1000).toFixed(0)} ms`;
    console.log(`${numStreams} streams, temperature ${each.temperature}, ${each.name}: ${line}`);
    results.push({ what: `${numStreams} streams, temperature ${each.temperature}: ${each.name}`, figures: line });
  }
}
if (values.record) {
  recordResults('Constrained answers', results, engine.adapter, 'npx tsx bench/constrained.ts --record');
}
await engine.close();
