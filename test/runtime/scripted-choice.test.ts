import { describe, expect, test } from 'vitest';
import type { ChatPrompt, GenerationEvent, ToolDefinition } from '../../src/runtime/api.ts';
import { ask, startEngine, textOf } from '../support/engine.ts';

const TOOL: ToolDefinition = {
  name: 'get_weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer' } },
    required: ['city', 'days'],
    additionalProperties: false,
  },
};
const prompt: ChatPrompt = {
  kind: 'chat',
  messages: [{ role: 'user', content: 'Weather?' }],
  tools: [TOOL],
  continueFinalMessage: false,
};
const required = { toolChoice: { mode: 'required', parallel: true } } as const;

const callOf = (events: readonly GenerationEvent[]) => {
  const name = events.flatMap((event) => (event.type === 'tool_call_start' ? [event.name] : []));
  const text = events.map((event) => (event.type === 'tool_call_arguments' ? event.text : '')).join('');
  return { name, given: JSON.parse(text) as unknown };
};

describe('a script that calls under a grammar', () => {
  test.each([
    ['hermes', '<tool_call>{"name":"get_weather","arguments":{"city":"Oslo","days":2}}</tool_call>'],
    ['hermes', '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>'],
    ['llama3', '{"name":"get_weather","parameters":{"city":"Oslo","days":2}}'],
    ['llama3', '{"name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}'],
    ['mistral', '[TOOL_CALLS][{"name":"get_weather","arguments":{"city":"Oslo","days":2}}]'],
    ['mistral', '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}]'],
    ['phi', '<|tool_call|>[{"name":"get_weather","arguments":{"city":"Oslo","days":2}}]<|/tool_call|>'],
    ['functools', 'functools[{"name":"get_weather","arguments":{"city":"Oslo","days":2}}]'],
    ['gemma', '```tool_code\n{"name":"get_weather","parameters":{"city":"Oslo","days":2}}\n```'],
  ])('keeps to its own words, compact or spaced: %s %s', async (toolFormat, text) => {
    for (const more of [required, {}]) {
      const engine = await startEngine({ toolFormat, replies: [{ tokens: text.match(/.{1,5}/gs) }] });
      const events = await ask(engine, prompt, { maxTokens: 200, ...more });
      expect(callOf(events)).toEqual({ name: ['get_weather'], given: { city: 'Oslo', days: 2 } });
      expect(events.at(-1)).toMatchObject({ reason: 'tool_calls' });
    }
  });

  test('ends a call that it must make and has no words for', async () => {
    const engine = await startEngine({ toolFormat: 'hermes', replies: [{ tokens: ['No', ' call', '.'] }] });
    const events = await ask(engine, prompt, { maxTokens: 200, ...required });
    expect(callOf(events).name).toEqual(['get_weather']);
    expect(textOf(events)).toBe('');
    expect(events.at(-1)).toMatchObject({ reason: 'tool_calls' });
  });

  test('ends an answer whose schema it has no words for', async () => {
    const engine = await startEngine({ replies: [{ tokens: ['Hello', '!'] }] });
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const events = await ask(engine, 'Say', { maxTokens: 100, constraint: { kind: 'json_schema', schema } });
    expect(JSON.parse(textOf(events))).toEqual({ ok: expect.any(Boolean) as unknown });
    expect(events.at(-1)).toMatchObject({ reason: 'stop' });
  });
});
