/** The grammars of the tool formats, compiled by the library that will enforce them. */
import { describe, expect, test } from 'vitest';
import type { ToolDefinition } from '../../../src/runtime/api.ts';
import type { GrammarOptions } from '../../../src/runtime/output/call-grammar.ts';
import { TOOL_FORMATS, type ToolFormatName } from '../../../src/runtime/output/tool-formats/index.ts';
import { MarkerTexts } from '../../../src/workers/grammar/marker-texts.ts';
import { inTokens, parseAnswer } from '../../support/parse-answer.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

const TOOLS: readonly ToolDefinition[] = [
  {
    name: 'get_weather',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
  { name: 'run', parameters: { type: 'object', properties: { command: { type: 'string' } } } },
];

const OSLO = '{"city": "Oslo", "days": 3}';
const RUN = '{"command": "ls"}';
const xml = (name: string, ...parameters: [string, string][]): string =>
  `<tool_call>\n<function=${name}>\n${parameters.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('')}</function>\n</tool_call>`;

interface Samples {
  /** One call, of the strict tool and of the other. */
  readonly strict: string;
  readonly loose: string;
  /** Two calls; absent where the format has one an answer. */
  readonly both?: string;
  /** Calls that break the strict tool's schema, or are of no tool. */
  readonly wrong: readonly string[];
  /** An answer without a call. */
  readonly text: string;
}

const SAMPLES: Readonly<Record<ToolFormatName, Samples>> = {
  hermes: {
    strict: `<tool_call>\n{"name": "get_weather", "arguments": ${OSLO}}\n</tool_call>`,
    loose: `<tool_call>\n{"name": "run", "arguments": ${RUN}}\n</tool_call>`,
    both: `<tool_call>\n{"name": "get_weather", "arguments": ${OSLO}}\n</tool_call>\n<tool_call>\n{"name": "run", "arguments": ${RUN}}\n</tool_call>`,
    wrong: [
      '<tool_call>\n{"name": "get_weather", "arguments": {"days": 3}}\n</tool_call>',
      '<tool_call>\n{"name": "fly", "arguments": {}}\n</tool_call>',
      '<tool_call>\n{"name": "run", "arguments": []}\n</tool_call>',
    ],
    text: 'Hello {"name": "Ada"}.',
  },
  'qwen3-coder': {
    strict: xml('get_weather', ['city', 'Oslo'], ['days', '3']),
    loose: xml('run', ['command', 'ls -l\n<x>']),
    both: `${xml('get_weather', ['city', 'Oslo'])}\n${xml('run', ['command', 'ls'])}`,
    wrong: [xml('get_weather', ['days', '3']), xml('get_weather', ['city', 'Oslo'], ['days', 'three']), xml('fly')],
    text: 'Hello <b>you</b>.',
  },
  llama3: {
    strict: `{"name": "get_weather", "parameters": ${OSLO}}`,
    loose: `{"name": "run", "parameters": ${RUN}}`,
    both: `{"name": "get_weather", "parameters": ${OSLO}}; {"name": "run", "parameters": ${RUN}}`,
    wrong: ['{"name": "get_weather", "parameters": {}}', '{"name": "fly", "parameters": {}}'],
    text: 'Hello {"x": 1}.',
  },
  mistral: {
    strict: `[TOOL_CALLS][{"name": "get_weather", "arguments": ${OSLO}}]`,
    loose: `[TOOL_CALLS][{"name": "run", "arguments": ${RUN}}]`,
    both: `[TOOL_CALLS][{"name": "get_weather", "arguments": ${OSLO}}, {"name": "run", "arguments": ${RUN}}]`,
    wrong: ['[TOOL_CALLS][{"name": "get_weather", "arguments": {}}]', '[TOOL_CALLS][{"name": "fly", "arguments": {}}]'],
    text: 'Hello [you].',
  },
  phi: {
    strict: `<|tool_call|>[{"name": "get_weather", "arguments": ${OSLO}}]<|/tool_call|>`,
    loose: `<|tool_call|>[{"name": "run", "arguments": ${RUN}}]<|/tool_call|>`,
    both: `<|tool_call|>[{"name": "get_weather", "arguments": ${OSLO}}, {"name": "run", "arguments": ${RUN}}]<|/tool_call|>`,
    wrong: ['<|tool_call|>[{"name": "fly", "arguments": {}}]<|/tool_call|>'],
    text: 'Hello.',
  },
  functools: {
    strict: `functools[{"name": "get_weather", "arguments": ${OSLO}}]`,
    loose: `functools[{"name": "run", "arguments": ${RUN}}]`,
    both: `functools[{"name": "get_weather", "arguments": ${OSLO}}, {"name": "run", "arguments": ${RUN}}]`,
    wrong: ['functools[{"name": "fly", "arguments": {}}]'],
    text: 'Hello, functools.',
  },
  gemma: {
    strict: `\`\`\`tool_code\n{"name": "get_weather", "parameters": ${OSLO}}\n\`\`\``,
    loose: `\`\`\`tool_code\n{"name": "run", "parameters": ${RUN}}\n\`\`\``,
    both: `\`\`\`tool_code\n{"name": "get_weather", "parameters": ${OSLO}}\n\`\`\`\n\`\`\`tool_code\n{"name": "run", "parameters": ${RUN}}\n\`\`\``,
    wrong: ['```tool_code\n{"name": "fly", "parameters": {}}\n```'],
    text: 'Hello:\n```js\n1\n```',
  },
  harmony: {
    strict: `<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>${OSLO}`,
    loose: `<|channel|>commentary to=functions.run <|constrain|>json<|message|>${RUN}`,
    wrong: [
      '<|channel|>commentary to=functions.fly <|constrain|>json<|message|>{}',
      '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": 1}',
    ],
    text: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.',
  },
};

describe.each(Object.entries(SAMPLES) as [ToolFormatName, Samples][])('the grammar of %s', (name, samples) => {
  const accepts = async (options: GrammarOptions, answers: readonly string[]): Promise<boolean[]> => {
    const { tags, grammar } = TOOL_FORMATS[name];
    // As where the tags are tokens of their own.
    const markers = new MarkerTexts(tags);
    const compiled = await TestGrammar.compileFormat(markers.hiddenFormat(grammar(TOOLS, options)));
    const hidden = (answer: string): string =>
      tags.reduce((rest, tag) => rest.replaceAll(tag, markers.hiddenToken(tag)!), answer);
    const accepted: boolean[] = [];
    for (const answer of answers) accepted.push(await compiled.accepts(hidden(answer)));
    return accepted;
  };
  const { strict, loose, both, wrong, text } = samples;
  const all = (list: readonly unknown[], value: boolean): boolean[] => list.map(() => value);

  test('lets required calls through, and nothing else', async () => {
    const options = { mode: 'required', parallel: true } as const;
    const good = [strict, loose, ...(both === undefined ? [] : [both])];
    const bad = [...wrong, text, '', `${strict} and more`];
    expect([await accepts(options, good), await accepts(options, bad)]).toEqual([all(good, true), all(bad, false)]);
  });

  test('lets text through where calls are allowed, and only calls of the tools', async () => {
    const options = { mode: 'auto', parallel: true } as const;
    const good = [text, strict, loose, ...(name === 'harmony' ? [] : [`Well.\n${loose}`])];
    expect([await accepts(options, good), await accepts(options, wrong)]).toEqual([all(good, true), all(wrong, false)]);
  });

  test('lets one call through where more are not wanted', async () => {
    for (const mode of ['auto', 'required'] as const) {
      const answers = [strict, ...(both === undefined ? [] : [both])];
      expect(await accepts({ mode, parallel: false }, answers)).toEqual([true, false].slice(0, answers.length));
    }
  });

  test('is of answers that the parser reads', () => {
    for (const answer of [strict, loose, ...(both === undefined ? [] : [both])]) {
      const { said, numWarnings } = parseAnswer(name, TOOLS, inTokens(name, answer));
      expect(said.length).toBeGreaterThan(0);
      expect(said.every((item) => typeof item === 'object' && item.isWhole)).toBe(true);
      expect(numWarnings).toBe(0);
    }
  });
});
