/**
 * What constrained answers cost on the CPU, without a model: to compile a format, cold, and then the mask of each token of
 * a sample answer, the first time and again.
 *
 *     npx tsx bench/grammars.ts [--vocabulary GGUF_FILE] [--only WORD] [--record]
 *
 * Milliseconds of CPU time, which other programs on the machine change less than the clock. Every token of the samples is
 * checked against its mask, and the masks' end against the sample's.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ToolDefinition } from '../src/runtime/api.ts';
import { TOOL_FORMATS } from '../src/runtime/output/tool-formats/index.ts';
import { openGguf } from '../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../src/runtime/weights/gguf-tokenizer.ts';
import { AnswerCompiler } from '../src/workers/grammar/answer-compiler.ts';
import type { AnswerFormat } from '../src/workers/grammar/answer-format.ts';
import type { Compiled } from '../src/workers/grammar/matcher.ts';
import { createTokenizer } from '../src/workers/tokenizer/tokenizer.ts';
import { type Result, recordResults } from './report.ts';
import { codingTools, serverTools } from './tool-sets.ts';

const options = {
  vocabulary: {
    type: 'string',
    default: join(process.env.FIRSTLIGHT_TEST_DATA ?? '../shared', 'tokenizers/qwen2.gguf'),
  },
  only: { type: 'string', default: '' },
  record: { type: 'boolean', default: false },
} as const;
const { values } = parseArgs({ options });

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const quantiles = (numbers: readonly number[]): string => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (share: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(2);
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms`;
};

interface Case {
  readonly name: string;
  readonly format: AnswerFormat;
  readonly answer: string;
}

type Schema = Readonly<Record<string, unknown>>;

const inObject = (value: Schema): Schema => ({ type: 'object', properties: { a: value }, required: ['a'] });
const schemaCase = (name: string, schema: Schema, answer: unknown): Case => ({
  name,
  format: { type: 'json_schema', json_schema: schema },
  answer: JSON.stringify(answer),
});
const stringCase = (name: string, value: Schema, text: string): Case => schemaCase(name, inObject(value), { a: text });
const regexCase = (name: string, pattern: string, answer: string): Case => ({
  name,
  format: { type: 'regex', pattern },
  answer,
});

/** Some value of a schema of the tool sets. */
const sampleOf = (schema: Schema): unknown => {
  const { type, enum: choices, properties = {}, items = {} } = schema as Record<string, never>;
  if (choices) return choices[0];
  if (type === 'object')
    return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, sampleOf(value as Schema)]));
  if (type === 'array') return [sampleOf(items), sampleOf(items)];
  return type === 'string' ? 'A sentence, as models write them.' : type === 'boolean' ? true : 7;
};
const toolCase = (name: string, tools: readonly ToolDefinition[], chosen: number): Case => {
  const { name: called, parameters } = tools[chosen]!;
  const call = `{"name": ${JSON.stringify(called)}, "arguments": ${JSON.stringify(sampleOf(parameters as Schema))}}`;
  return {
    name: `${name} (${Math.round(JSON.stringify(tools).length / 1000)} KB)`,
    format: TOOL_FORMATS.hermes.grammar(tools, { mode: 'auto', parallel: true }),
    answer: `I will look into it.\n<tool_call>\n${call}\n</tool_call>`,
  };
};

const PROSE = 'The quick brown fox jumps over the lazy dog, and naïve readers say: "why?" '.repeat(20);
const ADDRESS: Schema = {
  type: 'object',
  properties: { street: { type: 'string' }, house_number: { type: 'integer' }, city: { type: 'string' } },
  required: ['street'],
  additionalProperties: true,
};

const CASES: readonly Case[] = [
  toolCase('24 strict tools of coding agents', codingTools(true), 7),
  toolCase('24 tools of coding agents', codingTools(false), 7),
  toolCase('100 strict tools of servers', serverTools(100, true), 3),
  toolCase('100 tools of servers', serverTools(100, false), 3),
  schemaCase('any object', { type: 'object' }, { text: PROSE, list: [1, -2.5e3, null], 日本: { é: true } }),
  schemaCase('more properties than listed', ADDRESS, { street: 'a', strength: 1, other: [1] }),
  stringCase('maxLength 20', { type: 'string', maxLength: 20 }, PROSE.slice(0, 20)),
  stringCase('maxLength 1000', { type: 'string', maxLength: 1000 }, PROSE.slice(0, 1000)),
  stringCase('pattern of 500 letters', { type: 'string', pattern: '^[a-z]{1,500}$' }, 'thequickbrownfox'.repeat(20)),
  stringCase('pattern of 80 characters', { type: 'string', pattern: '^[^x]{1,80}!$' }, `${PROSE.slice(24, 90)}!`),
  stringCase('email', { type: 'string', format: 'email' }, 'john.doe@mail.example.com'),
  stringCase('uri', { type: 'string', format: 'uri' }, 'https://www.example.com/a/b/c?d=e#f'),
  stringCase('date-time', { type: 'string', format: 'date-time' }, '2024-01-01T00:00:00Z'),
  schemaCase(
    'maxLength in one of two objects',
    { anyOf: [inObject({ type: 'string', maxLength: 100 }), inObject({ type: 'string', maxLength: 50 })] },
    { a: PROSE.slice(0, 100) },
  ),
  regexCase('expression of 576 characters', '[a-zA-Z0-9 ,.:!?\'"ï-]{576}', PROSE.slice(0, 576)),
  regexCase('expression of a date', '\\d{4}-\\d\\d-\\d\\d', '2024-01-01'),
];

const definition = ggufTokenizer(await openGguf(values.vocabulary));
if (definition?.model !== 'gpt2') throw new Error(`${values.vocabulary} has no byte-level vocabulary`);
const tokenizer = createTokenizer(definition);
const markers = new Set(['<tool_call>', '</tool_call>']);
const texts = Array.from({ length: tokenizer.vocabularySize }, (_, id) => {
  const bytes = tokenizer.bytesOf(id);
  const isHidden = tokenizer.isControl(id) && !markers.has(Buffer.from(bytes).toString());
  return isHidden || definition.endTokenIds.includes(id) ? new Uint8Array() : bytes;
});

const isIn = (mask: Int32Array, id: number): boolean => (mask[id >> 5]! & (1 << (id & 31))) !== 0;

/** Milliseconds of each mask along an answer. */
const walk = async (compiled: Compiled, { name, answer }: Case): Promise<number[]> => {
  const matcher = await compiled.createMatcher();
  const masks: number[] = [];
  const mask = async (): Promise<Int32Array> => {
    const start = cpuMs();
    const made = await matcher.nextTokenMask();
    masks.push(cpuMs() - start);
    return made;
  };
  for (const id of tokenizer.encode(answer, { parseSpecial: true })) {
    if (!isIn(await mask(), id) || !(await matcher.acceptToken(id)))
      throw new Error(`${name}: ${JSON.stringify(Buffer.from(tokenizer.bytesOf(id)).toString())} is not allowed`);
  }
  const last = await mask();
  if (!definition.endTokenIds.some((id) => isIn(last, id))) throw new Error(`${name}: the answer may not end`);
  matcher.dispose();
  return masks;
};

const results: Result[] = [];
const say = (what: string, figures: string): void => {
  console.log(`${what}: ${figures}`);
  results.push({ what: `${what}; ${tokenizer.vocabularySize} tokens`, figures });
};

const start = cpuMs();
const compiler = await AnswerCompiler.create(texts, definition.endTokenIds);
say('vocabulary, once', `${(cpuMs() - start).toFixed(0)} ms`);
for (const each of CASES.filter(({ name }) => name.includes(values.only))) {
  const before = cpuMs();
  const compiled = await compiler.compile(each.format);
  const compileMs = cpuMs() - before;
  const first = await walk(compiled, each);
  const again = await walk(compiled, each);
  say(
    each.name,
    `compiled in ${compileMs.toFixed(0)} ms; ${first.length} masks: ${quantiles(first)}; again: ${quantiles(again)}`,
  );
  compiled.dispose();
}
if (values.record) recordResults('Grammars', results, 'CPU time', 'npx tsx bench/grammars.ts --record');
