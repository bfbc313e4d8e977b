/** Calls that a model is about to spoil, though it could well have gone on. */
import { describe, expect, test } from 'vitest';
import type { ChatPrompt, GenerationEvent } from '../../src/runtime/api.ts';
import type { ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { END_OF_SEQUENCE } from '../../src/runtime/scripted-vocabulary.ts';
import { startNoise } from '../support/noise-engine.ts';
import { RandomRunner } from '../support/random-runner.ts';

interface Slip {
  /** The token that is likelier than the right one. */
  readonly tokenId: number;
  /** How much likelier, in nats. */
  readonly byNats: number;
}

/** Says a text, and at some places of it would rather say something else. */
class SlippingRunner extends RandomRunner {
  readonly #tokenIds: readonly number[];
  readonly #slipAt: (index: number) => Slip | undefined;
  #promptEnd: number | undefined;

  constructor(vocabularySize: number, tokenIds: readonly number[], slipAt: (index: number) => Slip | undefined) {
    super(vocabularySize);
    this.#tokenIds = tokenIds;
    this.#slipAt = slipAt;
  }

  override logits(tokenId: number, position: number): Float32Array {
    const row = super.logits(tokenId, position);
    this.#promptEnd ??= position;
    const index = position - this.#promptEnd;
    row[this.#tokenIds[index] ?? END_OF_SEQUENCE] = 30;
    const slip = this.#slipAt(index);
    if (slip) row[slip.tokenId] = 30 + slip.byNats;
    return row;
  }
}

const QUESTION: ChatPrompt = {
  kind: 'chat',
  messages: [{ role: 'user', content: 'Weather?' }],
  tools: [{ name: 'get_weather' }],
  continueFinalMessage: false,
};
const ARGUMENTS = '{"city": "Oslo \\u00f8 \\"north\\" \u00f8", "days": [1, -2.5e3, true, null, {"a": {}}]}';

/** What stands before and behind the arguments; tags in braces. */
const FORMS: Partial<Record<ToolFormatName, readonly [before: string, behind: string]>> = {
  hermes: ['<tool_call>\n{"name": "get_weather", "arguments": ', '}\n</tool_call>'],
  llama3: ['{"name": "get_weather", "parameters": ', '}'],
  mistral: ['\u00ab[TOOL_CALLS]\u00bbget_weather\u00ab[ARGS]\u00bb', ''],
  functools: ['functools[{"name": "get_weather", "arguments": ', '}]'],
  harmony: [
    '\u00ab<|channel|>\u00bbcommentary to=functions.get_weather \u00ab<|constrain|>\u00bbjson\u00ab<|message|>\u00bb',
    '',
  ],
};

const toIds = (text: string, tags: ReadonlyMap<string, number>): number[] =>
  text
    .split(/(\u00ab.*?\u00bb)/)
    .flatMap((part) => (part.startsWith('\u00ab') ? [tags.get(part.slice(1, -1))!] : [...Buffer.from(part)]));

const calls = (events: readonly GenerationEvent[]) => ({
  started: events.flatMap((event) => (event.type === 'tool_call_start' ? [event.name] : [])),
  arguments: events.map((event) => (event.type === 'tool_call_arguments' ? event.text : '')).join(''),
  warnings: events.filter(({ type }) => type === 'warning').length,
  finish: events.flatMap((event) => (event.type === 'finish' ? [event.reason] : [])),
});

const WHOLE = { started: ['get_weather'], arguments: ARGUMENTS, warnings: 0, finish: ['tool_calls'] };

/** @param slips by the index in the arguments */
const answer = async (
  toolFormat: ToolFormatName,
  slips: (index: number) => Slip | undefined,
  sampling: { temperature: number; topLogprobs?: number } = { temperature: 0 },
) => {
  const [before, behind] = FORMS[toolFormat]!;
  const { ask } = startNoise({
    toolFormat,
    reasoning: toolFormat === 'harmony' ? 'harmony' : 'none',
    runner: (size, tags) => {
      const start = toIds(before, tags).length;
      return new SlippingRunner(size, toIds(before + ARGUMENTS + behind, tags), (index) => slips(index - start));
    },
  });
  return calls(await ask(QUESTION, { sampling: { ...DEFAULT_SAMPLING, seed: 1, ...sampling } }));
};

const length = Buffer.from(ARGUMENTS).length;
const isInside = (index: number) => index >= 1 && index < length;
/** Outside of strings, nothing of these may come where the right token is another. */
const byte = (text: string) => text.charCodeAt(0);

describe.each(Object.keys(FORMS) as ToolFormatName[])('a %s call', (format) => {
  test('is not ended before its arguments are whole', async () => {
    expect(await answer(format, (i) => (isInside(i) ? { tokenId: END_OF_SEQUENCE, byNats: 5 } : undefined))).toEqual(
      WHOLE,
    );
  });

  test.each([1, 0])('keeps to JSON between strings at temperature %d', async (temperature) => {
    const places = [...ARGUMENTS.matchAll(/[:,[\]}]/g)].map(
      ({ index }) => Buffer.from(ARGUMENTS.slice(0, index)).length,
    );
    const slip = (i: number) => (places.slice(1).includes(i) ? { tokenId: byte(')'), byNats: 5 } : undefined);
    expect(await answer(format, slip, { temperature })).toEqual(WHOLE);
  });
});

test('log-probabilities remain those of what the model said of every token', async () => {
  const slip = (i: number) => (i === length - 1 ? { tokenId: END_OF_SEQUENCE, byNats: 5 } : undefined);
  expect(await answer('hermes', slip, { temperature: 0, topLogprobs: 2 })).toEqual(WHOLE);
});

test('a character that only strings may have does not begin outside of one', async () => {
  const colon = ARGUMENTS.indexOf(':');
  expect(await answer('hermes', (i) => (i === colon ? { tokenId: 0xc3, byNats: 5 } : undefined))).toEqual(WHOLE);
});

test('a model that means it is not stopped: the call is given as text, with a warning', async () => {
  const said = await answer('hermes', (i) => (i === length - 1 ? { tokenId: byte('!'), byNats: 25 } : undefined));
  expect(said).toMatchObject({ started: ['get_weather'], warnings: 1, finish: ['stop'] });
});
