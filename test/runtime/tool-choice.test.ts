import { describe, expect, test } from 'vitest';
import type {
  ChatPrompt,
  GenerationEvent,
  GenerationRequest,
  ToolChoice,
  ToolDefinition,
} from '../../src/runtime/api.ts';
import { TOOL_FORMAT_NAMES, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { END_OF_SEQUENCE } from '../../src/runtime/scripted-vocabulary.ts';
import { textOf } from '../support/engine.ts';
import { idOf, startNoise } from '../support/noise-engine.ts';
import { RandomRunner } from '../support/random-runner.ts';

const TOOLS: readonly ToolDefinition[] = [
  {
    name: 'get_weather',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { enum: ['Oslo', 'Rome'] }, days: { type: 'integer', minimum: 1, maximum: 14 } },
      required: ['city', 'days'],
      additionalProperties: false,
    },
  },
  {
    name: 'set_alarm',
    strict: true,
    parameters: {
      type: 'object',
      properties: { on: { type: 'boolean' } },
      required: ['on'],
      additionalProperties: false,
    },
  },
];
const prompt: ChatPrompt = {
  kind: 'chat',
  messages: [{ role: 'user', content: 'Do something.' }],
  tools: TOOLS,
  continueFinalMessage: false,
};
/** Noise would go on with calls for ever. */
const liked = new Map([[END_OF_SEQUENCE, 4]]);

interface Call {
  readonly name: string;
  readonly given: unknown;
}

const callsOf = (events: readonly GenerationEvent[]): Call[] => {
  const calls: { name: string; text: string; isWhole: boolean }[] = [];
  for (const event of events) {
    if (event.type === 'tool_call_start') calls.push({ name: event.name, text: '', isWhole: false });
    if (event.type === 'tool_call_arguments') calls[event.index]!.text += event.text;
    if (event.type === 'tool_call_end') calls[event.index]!.isWhole = true;
  }
  expect(calls.every(({ isWhole }) => isWhole)).toBe(true);
  return calls.map(({ name, text }) => ({ name, given: JSON.parse(text) as unknown }));
};

const checkCall = ({ name, given }: Call): void => {
  const { city, days, on } = given as { city?: string; days?: number; on?: boolean };
  if (name === 'set_alarm') {
    expect(Object.keys(given as object)).toEqual(['on']);
    expect([true, false]).toContain(on);
    return;
  }
  expect(name).toBe('get_weather');
  expect(Object.keys(given as object).sort()).toEqual(['city', 'days']);
  expect(['Oslo', 'Rome']).toContain(city);
  expect(days).toBeGreaterThanOrEqual(1);
  expect(days).toBeLessThanOrEqual(14);
};

const choice = (more: Partial<ToolChoice>): Partial<GenerationRequest> => ({
  maxTokens: 1500,
  reasoningBudgetTokens: 50,
  toolChoice: { mode: 'required', parallel: true, ...more },
});
const seed = (value: number) => ({ sampling: { ...DEFAULT_SAMPLING, temperature: 1, seed: value } });
const reasoningOf = (format: ToolFormatName) => (format === 'harmony' ? 'harmony' : 'none');

describe.each(TOOL_FORMAT_NAMES)('%s', (toolFormat) => {
  // Of gpt-oss's channels, noise would think without end in those that no budget closes.
  const leanings = toolFormat === 'harmony' ? ['a', 'c '] : [''];
  const start = (round = 0) => {
    const leaning = [...leanings[round % leanings.length]!].map((character) => [idOf(character), 9] as const);
    return startNoise({ toolFormat, liked: new Map([...liked, ...leaning]), reasoning: reasoningOf(toolFormat) });
  };

  test('calls a tool where it must, by the schemas of strict tools', async () => {
    for (let round = 0; round < 4; round++) {
      const { ask } = start(round);
      const events = await ask(prompt, { ...choice({}), ...seed(round) });
      const calls = callsOf(events);
      expect(calls.length).toBeGreaterThan(0);
      for (const call of calls) checkCall(call);
      expect(textOf(events).trim()).toBe('');
      expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'tool_calls' });
      expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
    }
  });

  test('calls the named tool alone, and once where calls may not be parallel', async () => {
    for (let round = 0; round < 4; round++) {
      const { ask } = start(round);
      const events = await ask(prompt, { ...choice({ names: ['set_alarm'], parallel: false }), ...seed(round) });
      const calls = callsOf(events);
      expect(calls.map(({ name }) => name)).toEqual(['set_alarm']);
      checkCall(calls[0]!);
    }
  });

  test('calls nothing where it must not', async () => {
    const { ask } = start();
    const events = await ask(prompt, choice({ mode: 'none' }));
    expect(callsOf(events)).toEqual([]);
    expect(events.at(-1)).toMatchObject({ reason: 'stop' });
  });

  test('calls strict tools by their schemas where it may', async () => {
    const { ask } = start();
    for (let round = 0; round < 3; round++) {
      const events = await ask(prompt, { ...choice({ mode: 'auto' }), maxTokens: 300, ...seed(round) });
      for (const call of callsOf(events)) checkCall(call);
    }
  });
});

test.each(['harmony', 'mistral'] as const)('no control token gets into the strings of %s calls', async (toolFormat) => {
  const note: ToolDefinition = {
    name: 'note',
    strict: true,
    parameters: {
      type: 'object',
      properties: { text: { type: 'string', maxLength: 40 }, code: { type: 'string', pattern: '^[^0-9]{0,9}$' } },
      required: ['text', 'code'],
      additionalProperties: false,
    },
  };
  const { ask } = startNoise({
    toolFormat,
    reasoning: reasoningOf(toolFormat),
    // Every tag is likelier than any text, but those that end the turn.
    runner: (size, tags) => new RandomRunner(size, new Map([...tags.values()].map((id) => [id, 8]))),
  });
  for (let round = 0; round < 3; round++) {
    const events = await ask(
      { ...prompt, tools: [note] },
      { ...choice({ parallel: false }), ...seed(round), reasoningBudgetTokens: 5 },
    );
    const [call] = callsOf(events);
    expect(Object.keys(call?.given as object)).toEqual(['text', 'code']);
    expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
  }
});

test.each([
  ['without tools', []],
  ['beside tools', TOOLS],
] as const)("gpt-oss shows nothing beside an answer's format, whatever its channels: %s", async (_title, tools) => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'boolean' } },
    required: ['a'],
    additionalProperties: false,
  };
  const { ask } = startNoise({
    toolFormat: 'harmony',
    reasoning: 'harmony',
    runner: (size, tags) => new RandomRunner(size, new Map([...tags.values()].map((id) => [id, 8]))),
  });
  for (let round = 0; round < 4; round++) {
    const events = await ask(
      { ...prompt, tools },
      { constraint: { kind: 'json_schema', schema }, maxTokens: 1500, reasoningBudgetTokens: 5, ...seed(round) },
    );
    const calls = callsOf(events);
    for (const call of calls) checkCall(call);
    if (calls.length === 0) expect(JSON.parse(textOf(events))).toEqual({ a: expect.any(Boolean) });
    else expect(textOf(events)).toBe('');
  }
});

test('thinks freely before a call that it must make', async () => {
  const thoughts = new Map([...liked, [idOf('<think>'), 12], [idOf('</think>'), 3]]);
  const { ask } = startNoise({ toolFormat: 'hermes', liked: thoughts, reasoning: 'think' });
  const events = await ask(prompt, { ...choice({}), maxTokens: 3000 });
  expect(textOf(events, 'reasoning').length).toBeGreaterThan(0);
  const calls = callsOf(events);
  expect(calls.length).toBeGreaterThan(0);
  for (const call of calls) checkCall(call);
});

test('a call or a text of the wanted form, where both may come', async () => {
  const { ask } = startNoise({ toolFormat: 'hermes', liked });
  for (let round = 0; round < 6; round++) {
    const constraint = { kind: 'regex', pattern: 'yes|no' } as const;
    const events = await ask(prompt, { ...choice({ mode: 'auto' }), constraint, ...seed(round) });
    const calls = callsOf(events);
    for (const call of calls) checkCall(call);
    if (calls.length === 0) expect(textOf(events)).toMatch(/^(yes|no)$/);
  }
});

test('a call cannot be required of a model whose form of calls is unknown', async () => {
  const { ask } = startNoise();
  await expect(ask(prompt, choice({}))).rejects.toMatchObject({ code: 'not_supported' });
});
