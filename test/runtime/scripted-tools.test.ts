/** Whole answers with calls: from a script's tokens, through the engine, to events. */
import { describe, expect, test } from 'vitest';
import type { ChatPrompt, GenerationEvent, ToolDefinition } from '../../src/runtime/api.ts';
import { TOOL_FORMAT_NAMES, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { parseScript, scriptDefinition } from '../../src/runtime/scripted-model.ts';
import { ask, startEngine, textOf } from '../support/engine.ts';

const TOOLS: readonly ToolDefinition[] = [
  { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
];
const question = (more: Partial<ChatPrompt> = {}): ChatPrompt => ({
  kind: 'chat',
  messages: [{ role: 'user', content: 'Weather?' }],
  tools: TOOLS,
  continueFinalMessage: false,
  ...more,
});

const HARMONY_TOKENS = {
  '<|return|>': 200002,
  '<|constrain|>': 200003,
  '<|channel|>': 200005,
  '<|start|>': 200006,
  '<|end|>': 200007,
  '<|message|>': 200008,
  '<|call|>': 200012,
};
const special = (text: string) => ({ special: text });
const channel = (name: string) => [special('<|channel|>'), name, special('<|message|>')];
const next = [special('<|end|>'), special('<|start|>'), 'assistant'];
const harmonyCall = [
  special('<|channel|>'),
  'commentary to=functions.get_weather ',
  special('<|constrain|>'),
  'json',
  special('<|message|>'),
  '{"city":',
  '"Oslo"}',
];

/** One call of get_weather, as each format writes it. */
const REPLIES: Readonly<Record<ToolFormatName, readonly (string | { special: string })[]>> = {
  hermes: ['<tool_call>\n', '{"name": "get_weather", ', '"arguments": {"city": "Oslo"}}', '\n</tool_call>'],
  'qwen3-coder': [
    '<tool_call>\n<function=get_weather>',
    '\n<parameter=city>\nOslo\n',
    '</parameter>\n</function>\n</tool_call>',
  ],
  llama3: [special('<|python_tag|>'), '{"name": "get_weather", "parameters": ', '{"city": "Oslo"}}'],
  mistral: [special('[TOOL_CALLS]'), 'get_weather', special('[ARGS]'), '{"city": "Oslo"}'],
  phi: [
    special('<|tool_call|>'),
    '[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    special('<|/tool_call|>'),
  ],
  functools: ['functools[{"name": "get_weather", ', '"arguments": {"city": "Oslo"}}]'],
  gemma: ['```tool_code\n', '{"name": "get_weather", "parameters": {"city": "Oslo"}}\n', '```'],
  harmony: [...harmonyCall, special('<|call|>')],
};
const SPECIAL_TOKENS: Partial<Record<ToolFormatName, Readonly<Record<string, number>>>> = {
  llama3: { '<|python_tag|>': 300 },
  mistral: { '[TOOL_CALLS]': 262, '[ARGS]': 264 },
  phi: { '<|tool_call|>': 400, '<|/tool_call|>': 401 },
  harmony: HARMONY_TOKENS,
};

const callsOf = (events: readonly GenerationEvent[]) => {
  const calls: { name: string; text: string; isWhole: boolean }[] = [];
  for (const event of events) {
    if (event.type === 'tool_call_start') calls.push({ name: event.name, text: '', isWhole: false });
    if (event.type === 'tool_call_arguments') calls[event.index]!.text += event.text;
    if (event.type === 'tool_call_end') calls[event.index]!.isWhole = true;
  }
  return calls;
};
const finishOf = (events: readonly GenerationEvent[]) => {
  const last = events.at(-1);
  return last?.type === 'finish' ? last : undefined;
};

describe.each(TOOL_FORMAT_NAMES)('a script that calls as %s', (toolFormat) => {
  const script = {
    toolFormat,
    specialTokens: SPECIAL_TOKENS[toolFormat] ?? {},
    replies: [{ tokens: REPLIES[toolFormat] }],
  };

  test('calls, and ends with tool_calls', async () => {
    const events = await ask(await startEngine(script), question());
    const [call, ...others] = callsOf(events);
    expect([call?.name, JSON.parse(call?.text ?? ''), call?.isWhole, others]).toEqual([
      'get_weather',
      { city: 'Oslo' },
      true,
      [],
    ]);
    expect([textOf(events), finishOf(events)?.reason]).toEqual(['', 'tool_calls']);
  });

  test('calls nothing that was not offered', async () => {
    const engine = await startEngine(script);
    for (const more of [
      { prompt: question({ tools: [] }) },
      { toolChoice: { mode: 'none', parallel: true } as const },
    ]) {
      const events = await ask(engine, question(), more);
      expect([callsOf(events), finishOf(events)?.reason]).toEqual([[], 'stop']);
      // What names no tag is shown, however it was wrapped.
      expect(textOf(events)).toContain('Oslo');
    }
  });

  test('leaves a call open that a limit cuts', async () => {
    const numTokens = REPLIES[toolFormat].length;
    for (let maxTokens = 1; maxTokens < numTokens; maxTokens++) {
      const events = await ask(await startEngine(script), question(), { maxTokens });
      const isWhole = callsOf(events).every((call) => call.isWhole === isJson(call.text));
      expect([isWhole, finishOf(events)?.reason]).toEqual([true, 'length']);
    }
  });
});

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

// Replies in the very words of the grammar; what is written otherwise, a grammar does not let through.
test.each(['hermes', 'phi', 'functools', 'gemma', 'harmony'] as const)(
  'a script that calls as %s goes on behind text that a required call forces',
  async (toolFormat) => {
    const replies = [{ tokens: REPLIES[toolFormat] }];
    const engine = await startEngine({ toolFormat, specialTokens: SPECIAL_TOKENS[toolFormat] ?? {}, replies });
    const events = await ask(engine, question(), { toolChoice: { mode: 'required', parallel: false } });
    expect(callsOf(events)).toEqual([{ name: 'get_weather', text: expect.any(String), isWhole: true }]);
    expect(JSON.parse(callsOf(events)[0]!.text)).toEqual({ city: 'Oslo' });
    expect([textOf(events), finishOf(events)?.reason]).toEqual(['', 'tool_calls']);
  },
);

describe('a script that a grammar does not let through as it stands', () => {
  const OSLO = { city: 'Oslo' };
  const one = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
  const required = { toolChoice: { mode: 'required', parallel: false } } as const;
  const single = { toolChoice: { mode: 'auto', parallel: false } } as const;
  const calls = (events: readonly GenerationEvent[]) => callsOf(events).map(({ text }) => JSON.parse(text) as unknown);

  test.each([
    ['text before the call', ['I look.', one], required],
    ['other white space', ['<tool_call>{"name":"get_weather",', '"arguments":{"city":"Oslo"}}</tool_call>'], required],
    ['a token that goes on into a second call', [`${one}\n${one}`], single],
    ['a second call', [one, '\n', one], single],
    ['text behind the call', [one, ' Done.'], required],
  ])('leaves out %s', async (_, tokens, more) => {
    const engine = await startEngine({ toolFormat: 'hermes', replies: [{ tokens }] });
    const events = await ask(engine, question(), more);
    expect([calls(events), textOf(events), finishOf(events)?.reason]).toEqual([[OSLO], '', 'tool_calls']);
  });

  test('thinks as it stands before a call that is required', async () => {
    const tokens = ['<think>', 'Need', ' it.', '</think>', 'I look.', one];
    const engine = await startEngine({ toolFormat: 'hermes', reasoningFormat: 'think', replies: [{ tokens }] });
    const events = await ask(engine, question(), required);
    expect([textOf(events, 'reasoning'), calls(events), finishOf(events)?.reason]).toEqual([
      'Need it.',
      [OSLO],
      'tool_calls',
    ]);
  });

  test.each(['none', 'think'] as const)('makes a short call of nothing but text, with reasoning %s', async (format) => {
    const engine = await startEngine({ toolFormat: 'hermes', reasoningFormat: format, replies: [{ tokens: ['Hi'] }] });
    for (let round = 0; round < 4; round++) {
      const events = await ask(engine, question(), { ...required, maxTokens: 200 });
      expect([calls(events).length, finishOf(events)?.reason]).toEqual([1, 'tool_calls']);
    }
  });

  test('makes a short value of a schema of nothing but text', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'array', items: { type: 'boolean' } }, c: { type: 'integer' } },
      required: ['a', 'b', 'c'],
      additionalProperties: false,
    };
    const engine = await startEngine({ replies: [{ tokens: ['Hi'] }] });
    const constraint = { kind: 'json_schema', schema, param: 'schema' } as const;
    const events = await ask(engine, question(), { constraint, maxTokens: 200 });
    expect(JSON.parse(textOf(events))).toEqual({ a: '', b: [], c: expect.any(Number) });
    expect(finishOf(events)?.reason).toBe('stop');
  });
});

describe('a script in the manner of gpt-oss', () => {
  test('thinks, says what it will do, and calls', async () => {
    const tokens = [...channel('analysis'), 'Need', ' weather.', ...next, ...channel('commentary'), 'I look.', ...next];
    const replies = [{ tokens: [...tokens, ...harmonyCall, special('<|call|>'), 'never said'] }];
    const engine = await startEngine({
      reasoningFormat: 'harmony',
      specialTokens: HARMONY_TOKENS,
      toolFormat: 'harmony',
      replies,
    });
    const events = await ask(engine, question());
    expect([textOf(events, 'reasoning'), textOf(events)]).toEqual(['Need weather.', 'I look.']);
    expect(callsOf(events)).toEqual([{ name: 'get_weather', text: '{"city":"Oslo"}', isWhole: true }]);
    // Three of the head, two of text, and the end of the message.
    expect(finishOf(events)).toMatchObject({ reason: 'tool_calls', usage: { reasoningTokens: 6 } });
  });

  test('has the ids that it names, and none between', () => {
    const replies = [{ tokens: ['a', special('<|channel|>'), 'b'] }];
    const script = parseScript(
      JSON.stringify({ specialTokens: { '<|channel|>': 263, '<|end|>': 1000 }, replies }),
      'x.json',
    );
    expect(script.replies[0]?.tokenIds).toEqual([262, 263, 264]);
    expect([script.vocabulary.length, script.vocabulary[999]?.length]).toEqual([1001, 0]);
    expect(scriptDefinition(script).endTokenIds).toEqual([261, 1000]);
  });

  test.each([
    [{ specialTokens: { a: 300, b: 300 } }, /specialTokens: must give each text an id of its own/],
    [{ specialTokens: { a: 255 } }, /specialTokens\.a: /],
    [{ specialTokens: { a: 300 }, replies: [{ tokens: [{ special: 'b' }] }] }, /replies: .*not one of specialTokens/],
    [{ toolFormat: 'xml' }, /toolFormat: /],
  ])('%j is refused by name', (more, message) => {
    const script = { replies: [{ tokens: ['x'] }], ...more };
    expect(() => parseScript(JSON.stringify(script), 'x.json')).toThrow(message);
  });
});

describe('the prompt of a script', () => {
  const call = { id: 'call_1', name: 'get_weather', arguments: { city: 'Oslo' } };
  const afterResult = question({
    messages: [
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: 'I look.', toolCalls: [call] },
      { role: 'tool', content: '{"sky": "grey"}', toolCallId: 'call_1' },
    ],
  });

  test('lets rules match the result of a tool', async () => {
    const replies = [{ when: 'grey', tokens: ['Grey.'] }, { tokens: REPLIES.hermes }];
    const engine = await startEngine({ toolFormat: 'hermes', replies });
    expect(finishOf(await ask(engine, question()))?.reason).toBe('tool_calls');
    const events = await ask(engine, afterResult);
    expect([textOf(events), finishOf(events)?.reason]).toEqual(['Grey.', 'stop']);
  });

  test('has tools and calls in it, readably', async () => {
    const engine = await startEngine({ replies: [{ tokens: ['x'] }] });
    const bare = await engine.countTokens({
      ...afterResult,
      tools: [],
      messages: afterResult.messages.map(({ toolCalls: _, ...rest }) => rest),
    });
    const callLength = '\n{"name":"get_weather","arguments":{"city":"Oslo"}}'.length;
    const toolsLength = JSON.stringify(TOOLS[0]).length + 1;
    expect(await engine.countTokens(afterResult)).toBe(bare + callLength + toolsLength);
  });

  test('ends inside a reasoning block where the script says so, unless thinking is off', async () => {
    const replies = [{ tokens: ['Hm.', '</think>', '\n\n', 'Yes.'] }];
    const engine = await startEngine({ reasoningFormat: 'think-preopened', replies });
    const events = await ask(engine, 'hi');
    expect([textOf(events, 'reasoning'), textOf(events)]).toEqual(['Hm.', 'Yes.']);
    const off = await ask(engine, question({ enableThinking: false }));
    expect([textOf(off, 'reasoning'), textOf(off)]).toEqual(['', 'Hm.</think>\n\nYes.']);
  });
});
