import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { modelOutput } from '../../../src/runtime/output/model-output.ts';
import { type OutputFormat, OutputParser } from '../../../src/runtime/output/parser.ts';
import { detectToolFormat, TOOL_FORMAT_NAMES } from '../../../src/runtime/output/tool-formats/index.ts';
import { turnEndsOf } from '../../../src/runtime/weights/special-texts.ts';
import type { VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { toolFormatCases } from '../../cases/tool-format.ts';
import { TOOLS } from '../../cases/tool-samples.ts';
import { type AnswerPiece, parseAnswer } from '../../support/parse-answer.ts';
import { hasTestData, testData } from '../../support/test-data.ts';

for (const format of TOOL_FORMAT_NAMES) toolFormatCases(format);

/** Undefined: the template knows no tools, or a form of calls that is not read. */
const FORMATS: Readonly<Record<string, string | undefined>> = {
  'HuggingFaceTB-SmolLM3-3B': undefined,
  'NousResearch-Hermes-3-Llama-3.1-8B-tool_use': 'hermes',
  'Qwen-Qwen2.5-7B-Instruct': 'hermes',
  'Qwen-Qwen3-0.6B': 'hermes',
  'Qwen3-Coder': 'qwen3-coder',
  'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B': undefined,
  'google-gemma-2-2b-it': 'gemma',
  'meta-llama-Llama-3.1-8B-Instruct': 'llama3',
  'meta-llama-Llama-3.2-3B-Instruct': 'llama3',
  'microsoft-Phi-3.5-mini-instruct': undefined,
  'mistralai-Mistral-Nemo-Instruct-2407': 'mistral',
  'openai-gpt-oss-120b': 'harmony',
};

const vocabulary = (tokens: readonly string[], chatTemplate = ''): VocabularyDefinition => ({
  model: 'gpt2',
  tokens,
  tokenTypes: tokens.map(() => 3),
  endTokenIds: [],
  addBos: false,
  addSpacePrefix: false,
  chatTemplate,
});

describe('which format a model has', () => {
  test.runIf(hasTestData).each(Object.entries(FORMATS))('the template of %s means %s', (name, format) => {
    const path = testData(`templates/${name}.jinja`);
    if (path === undefined) throw new Error(`templates/${name}.jinja is missing`);
    expect(detectToolFormat(readFileSync(path, 'utf8'))).toBe(format);
  });

  test.runIf(hasTestData)('every template at hand is in the table', () => {
    const names = readdirSync(testData('templates')!).filter((file) => file.endsWith('.jinja'));
    expect(names.map((file) => file.replace(/\.jinja$/, '')).sort()).toEqual(Object.keys(FORMATS).sort());
  });

  test('templates without tools, and none at all, mean none', () => {
    const chat = '{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}{% endfor %}';
    expect([detectToolFormat(''), detectToolFormat(chat)]).toEqual([undefined, undefined]);
    const phi = "{% if 'tools' in message %}{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}{% endif %}";
    expect(detectToolFormat(phi)).toBe('phi');
  });

  test('an option stands above the template, and none leaves gpt-oss its channels', () => {
    const harmony = vocabulary(['<|start|>', 'a', '<|channel|>'], '<|start|><|channel|>');
    expect(modelOutput(harmony)).toEqual({
      reasoning: 'harmony',
      toolFormat: 'harmony',
      tags: new Map([
        [0, '<|start|>'],
        [2, '<|channel|>'],
      ]),
    });
    expect(modelOutput(harmony, { toolFormat: 'none' })).toMatchObject({ reasoning: 'harmony' });
    expect(modelOutput(harmony, { toolFormat: 'none' }).toolFormat).toBeUndefined();
    const mistral = modelOutput(vocabulary(['<think>', '[TOOL_CALLS]']), { toolFormat: 'mistral' });
    expect(mistral).toEqual({ reasoning: 'think', toolFormat: 'mistral', tags: new Map([[1, '[TOOL_CALLS]']]) });
  });

  test('ids are what the format wants', () => {
    const call = (name: string) => `{"name": "now", "${name}": {}}`;
    const hermes = parseAnswer('hermes', TOOLS, [`<tool_call>${call('arguments')}</tool_call>`.repeat(2)]);
    expect(hermes.ids.every((id) => /^call_[A-Za-z0-9]{24}$/.test(id))).toBe(true);
    const mistral = parseAnswer('mistral', TOOLS, [`[TOOL_CALLS][${call('arguments')}, ${call('arguments')}]`]);
    expect(mistral.ids.every((id) => /^[A-Za-z0-9]{9}$/.test(id))).toBe(true);
    expect(new Set([...hermes.ids, ...mistral.ids]).size).toBe(4);
  });
});

describe('how a turn ends', () => {
  test("gpt-oss's messages end without ending the turn", () => {
    const endsTurn = turnEndsOf(['<|end|>', '<|return|>', '<|call|>']);
    expect(['<|end|>', '<|return|>', '<|call|>', 'x'].map(endsTurn)).toEqual([false, true, true, undefined]);
  });

  test('elsewhere the same text ends it', () => {
    const endsTurn = turnEndsOf(['<|end|>', '<|eom_id|>']);
    expect(['<|end|>', '<|eom_id|>', '<|call|>'].map(endsTurn)).toEqual([true, true, undefined]);
  });
});

describe('what is said while a call is made', () => {
  const reader = (more: Partial<OutputFormat> = {}) =>
    new OutputParser({
      reasoning: 'none',
      reasoningOpened: false,
      stop: [],
      toolFormat: 'hermes',
      tools: TOOLS,
      ...more,
    });

  test('the name comes before the arguments, and these as they are made', () => {
    const parser = reader();
    const said = ['<tool_call>{"name": "run"', ', "arguments": {"com', 'mand": "l', 's"}', '}', '</tool_call>'].map(
      (piece) => parser.push(piece),
    );
    expect(said).toEqual([
      [{ type: 'tool_call_start', index: 0, id: expect.any(String), name: 'run' }],
      [{ type: 'tool_call_arguments', index: 0, text: '{"com' }],
      [{ type: 'tool_call_arguments', index: 0, text: 'mand": "l' }],
      [{ type: 'tool_call_arguments', index: 0, text: 's"}' }],
      [{ type: 'tool_call_end', index: 0 }],
      [],
    ]);
    expect(parser.flush()).toEqual([]);
  });

  test("a coder's parameters become JSON while they are written", () => {
    const parser = reader({ toolFormat: 'qwen3-coder' });
    const pieces = ['<function=run>', '\n<parameter=command>\nls', ' "a"', '\n</parameter>', '\n</function>'];
    const texts = pieces.map((piece) =>
      parser.push(piece).map((event) => (event.type === 'tool_call_arguments' ? event.text : event.type)),
    );
    expect(texts).toEqual([['tool_call_start'], ['{"command": "ls'], [' \\"a\\"'], [], ['"}', 'tool_call_end']]);
  });

  test('text is told apart at once where no call can begin', () => {
    const parser = reader();
    expect(parser.push('a <')).toEqual([{ type: 'text', text: 'a' }]);
    expect(parser.push('b')).toEqual([{ type: 'text', text: ' <b' }]);
  });

  test('stop strings are looked for in text alone, and what follows one is not said', () => {
    const call = '<tool_call>{"name": "run", "arguments": {"command": "STOP"}}</tool_call>';
    const within = parseAnswer('hermes', TOOLS, [`Go ST${call}OP STOP${call}`], { stop: ['STOP'] });
    expect(within.said).toEqual(['Go ST', { name: 'run', arguments: '{"command": "STOP"}', isWhole: true }, 'OP ']);
    expect(within.stop).toBe('STOP');
    const before = parseAnswer('hermes', TOOLS, [`a\n\n${call}`], { stop: ['\n\n'] });
    expect([before.said, before.stop]).toEqual([['a'], '\n\n']);
  });

  test('without tools, calls are text as they are', () => {
    const call = '<tool_call>{"name": "run", "arguments": {}}</tool_call>\n';
    expect(parseAnswer('hermes', [], [call])).toMatchObject({ said: [call], numWarnings: 0 });
  });

  test('a control token that belongs to nothing is never shown', () => {
    const pieces = ['a', { tag: '[ARGS]' }, 'b', { tag: '[TOOL_CALLS]' }, ' c'];
    expect(parseAnswer('mistral', TOOLS, pieces)).toMatchObject({ said: ['ab c'], numWarnings: 1 });
    expect(parseAnswer('mistral', [], pieces)).toMatchObject({ said: ['ab c'], numWarnings: 0 });
  });

  test('reasoning may speak of calls', () => {
    const call = '<tool_call>{"name": "now", "arguments": {}}</tool_call>';
    const answer = parseAnswer('hermes', TOOLS, [`<think>${call}</think>\n${call}`], { reasoning: 'think' });
    expect([answer.reasoning, answer.numCalls, answer.said.length]).toEqual([call, 1, 1]);
  });

  test("log-probabilities of a call's tokens do not pass for the text's", () => {
    const parser = reader();
    const events = ['Hi', ' <tool_call>{"name": "now", ', '"arguments": {}}', '</tool_call>'].flatMap(
      (piece, tokenId) =>
        parser.push(piece, { tokenId, logprobs: { tokenId, bytes: new Uint8Array(), logprob: -1, top: [] } }),
    );
    const said = [...events, ...parser.flush()].flatMap((event) =>
      event.type === 'text' ? (event.logprobs ?? []).map(({ tokenId }) => tokenId) : [],
    );
    expect(said).toEqual([0]);
  });

  test("counts the tokens of gpt-oss's thoughts, their heads and tags included", () => {
    const message = (channel: string, text: string): AnswerPiece[] => [
      { tag: '<|channel|>' },
      channel,
      { tag: '<|message|>' },
      text,
    ];
    const next: AnswerPiece[] = [{ tag: '<|end|>' }, { tag: '<|start|>' }, 'assistant'];
    const answer = parseAnswer('harmony', TOOLS, [...message('analysis', 'Hm.'), ...next, ...message('final', 'Yes.')]);
    expect([answer.reasoningTokens, answer.said]).toEqual([5, ['Yes.']]);
  });

  test("goes on with gpt-oss's final message where the prompt ends in it", () => {
    expect(parseAnswer('harmony', TOOLS, ['to=', 'day'], { isContinued: true }).said).toEqual(['to=day']);
  });

  test('takes a call of 200 KB and 100,000 tags without slowing down with its length', () => {
    const command = 'x </tool_call> '.repeat(14_000);
    const call = `<tool_call>{"name": "run", "arguments": ${JSON.stringify({ command })}}</tool_call>`;
    const big = parseAnswer('hermes', TOOLS, call.match(/.{1,7}/gs)!);
    expect(big.said).toEqual([{ name: 'run', arguments: JSON.stringify({ command }), isWhole: true }]);
    const tags = parseAnswer('hermes', TOOLS, ['<tool_call>'.repeat(100_000)]);
    expect(tags.numWarnings).toBe(100_000);
  });

  test.each([
    ['hermes', '<tool_call>{"name": "now", "arguments": {}}', 1],
    ['hermes', '', 0],
    ['qwen3-coder', '<tool_call>', 0],
    ['qwen3-coder', '<function=now></function>', 1],
    ['qwen3-coder', '<function=run><parameter=command>ls</parameter>', 0],
    ['llama3', '{"name": "now", "parameters": {}}', 1],
    ['mistral', '[TOOL_CALLS][{"name": "now", "arguments": {}}', 1],
    ['gemma', '```tool_code\n{"name": "now", "parameters": {}}', 1],
    ['harmony', '', 0],
  ] as const)(
    'a %s answer may lose itself in white space behind %j without slowing down',
    (format, begun, numWhole) => {
      const pieces = [begun, ...Array<string>(60_000).fill(' \n\n  ')];
      for (const reasoning of format === 'harmony' ? (['harmony'] as const) : (['none', 'think'] as const)) {
        expect(parseAnswer(format, TOOLS, pieces, { reasoning }).numCalls).toBe(numWhole);
      }
    },
  );
});
