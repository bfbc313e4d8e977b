/** `echo` with `logprobs`: what evaluation harnesses ask for, against logits that others computed. */
import { existsSync } from 'node:fs';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Engine } from '../../src/runtime/api.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { createServer } from '../../src/server/app.ts';
import { readOracle } from '../support/oracle.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { hasTestData, testData } from '../support/test-data.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

interface Arrays {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
  readonly text_offset: readonly number[];
}
interface Choice {
  readonly text: string;
  readonly logprobs: Arrays;
  readonly finish_reason: string | null;
}

type Completion = Omit<OpenAI.Completion, 'choices'> & { readonly choices: readonly Choice[] };

const GOLDEN = 'models/embedded/golden.logits';
const ECHO = { echo: true, logprobs: 1, temperature: 0 };

const startServer = async (engine: Engine): Promise<string> => {
  const server = await createServer(engine, { port: 0, logLevel: 'silent' });
  onTestFinished(() => server.close());
  return server.url;
};

const complete = async (url: string, model: string, body: object): Promise<Completion> => {
  const { status, body: answer } = await post(`${url}/v1/completions`, { model, ...ECHO, ...body });
  expect([status, answer]).toMatchObject([200, {}]);
  expectSchema('openai', 'CreateCompletionResponse', withoutNulls(answer));
  return answer as Completion;
};

const stream = async (url: string, model: string, body: object): Promise<Choice[]> => {
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ model, ...ECHO, ...body, stream: true }),
  });
  const chunks = parseSse(await answer.text()).map(([, data]) => data);
  expect(chunks.pop()).toBe('[DONE]');
  return chunks.map((chunk) => (chunk as { choices: Choice[] }).choices[0]!);
};

/** The schema knows no echo: OpenAI answers null for the first token, which nothing predicts. */
const withoutNulls = (answer: unknown): unknown => {
  const { choices, ...rest } = answer as Completion;
  return { ...rest, choices: choices.map((choice) => ({ ...choice, logprobs: afterFirst(choice.logprobs) })) };
};

const afterFirst = (arrays: Arrays) => ({
  ...arrays,
  token_logprobs: arrays.token_logprobs.slice(1),
  top_logprobs: arrays.top_logprobs.slice(1),
});

/** What holds for every answer with an echo. */
const expectConsistent = ({ text, logprobs }: Choice): void => {
  const { tokens, token_logprobs: chosen, top_logprobs: top, text_offset: offsets } = logprobs;
  expect(tokens.join('')).toBe(text);
  expect([chosen.length, top.length, offsets.length]).toEqual([tokens.length, tokens.length, tokens.length]);
  expect([chosen[0], top[0], offsets[0]]).toEqual([null, null, 0]);
  for (const [index, token] of tokens.entries()) {
    expect([...text].slice(offsets[index], offsets[index]! + [...token].length).join('')).toBe(token);
    if (index > 0) expect(top[index]![token]).toBe(chosen[index]);
  }
};

describe.runIf(existsSync(GOLDEN))('the embedded model', () => {
  const { ids, vocabularySize, logits } = readOracle(GOLDEN);
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ model: EMBEDDED_MODEL_PATH, activations: 'f32', kvFormat: 'f32' });
  });
  afterAll(() => engine.close());

  test('tells of token ids what the saved logits say, and whether each was the likeliest', async () => {
    const { choices, usage } = await complete(await startServer(engine), engine.model.id, {
      prompt: ids,
      max_tokens: 1,
    });
    const { token_logprobs: chosen, top_logprobs: top } = choices[0]!.logprobs;
    expect(chosen).toHaveLength(ids.length + 1);
    for (let index = 1; index < ids.length; index++) {
      const row = [...logits.subarray((index - 1) * vocabularySize, index * vocabularySize)];
      const logMass = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
      expect(chosen[index]).toBeCloseTo(row[ids[index]!]! - logMass, 3);
      const best = Math.max(...row);
      expect(Math.max(...Object.values(top[index]!))).toBeCloseTo(best - logMass, 3);
      // As lm-eval tells a greedy token.
      expect(chosen[index] === Math.max(...Object.values(top[index]!))).toBe(row[ids[index]!] === best);
    }
    expect(usage).toMatchObject({ prompt_tokens: ids.length, prompt_tokens_details: { cached_tokens: 0 } });
  });

  test('tells the same of a text, of its token ids, in a stream, and when its prompt is cached', async () => {
    const url = await startServer(engine);
    const model = engine.model.id;
    const prompt = 'Anna is 30 years old. Café 😀!\nCount: 1, 2, 3';
    const { body } = await post(`${url}/tokenize`, { content: prompt, add_special: true });
    const { tokens: tokenIds } = body as { tokens: number[] };
    await post(`${url}/v1/completions`, { model, prompt, max_tokens: 4 });
    const [choice] = (await complete(url, model, { prompt, max_tokens: 4, logprobs: 5 })).choices;
    expect(choice!.text.startsWith(prompt)).toBe(true);
    const { choices: both } = await complete(url, model, { prompt: [tokenIds, tokenIds], max_tokens: 4, logprobs: 5 });
    expect(both.map(({ logprobs }) => logprobs)).toEqual([choice!.logprobs, choice!.logprobs]);
    const [prefill] = (await complete(url, model, { prompt, max_tokens: 0, logprobs: 5 })).choices;
    expect(prefill).toMatchObject({ text: prompt, finish_reason: 'length' });
    const chunks = await stream(url, model, { prompt, max_tokens: 4, logprobs: 5 });
    expect(chunks.map(({ text }) => text).join('')).toBe(choice!.text);
    const joined = (key: keyof Arrays): unknown[] => chunks.flatMap(({ logprobs }): unknown => logprobs?.[key] ?? []);
    for (const key of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'] as const) {
      expect(joined(key)).toEqual(choice!.logprobs[key]);
      expect(prefill!.logprobs[key]).toEqual(choice!.logprobs[key].slice(0, tokenIds.length));
    }
  });
});

const stories = testData('models/stories260K.gguf');

test('has its data where the data folder is', () => expect(stories !== undefined).toBe(hasTestData));

test.runIf(stories)('what the tokenizer puts before a text has no text of its own', async () => {
  const engine = await createEngine({ model: stories! });
  onTestFinished(() => engine.close());
  const url = await startServer(engine);
  const { choices, usage } = await complete(url, engine.model.id, { prompt: 'Once upon a time', max_tokens: 3 });
  expectConsistent(choices[0]!);
  const { tokens, token_logprobs: chosen } = choices[0]!.logprobs;
  // The token that begins every text is told, with nothing before it; the first word is likely after it.
  expect(tokens.slice(0, 2)).toEqual(['', 'Once']);
  expect(tokens).toHaveLength(usage!.prompt_tokens + usage!.completion_tokens);
  expect(chosen[1]).toBeGreaterThan(Math.log(0.5));
});

const SCRIPT: Script = { replies: [{ tokens: ['one', ' two'] }] };

test('every prompt and choice has arrays of its own, and the best of several is still chosen', async () => {
  const { url } = await serve(SCRIPT);
  const { choices } = await complete(url, 'scripted', { prompt: ['ab', 'é'], n: 2, best_of: 3 });
  expect(choices.map(({ text }) => text)).toEqual(['abone two', 'abone two', 'éone two', 'éone two']);
  expect(choices.map(({ logprobs: { tokens } }) => tokens.slice(0, 2))).toEqual([
    ['a', 'b'],
    ['a', 'b'],
    ['bytes:\\xc3', 'bytes:\\xa9'],
    ['bytes:\\xc3', 'bytes:\\xa9'],
  ]);
  expect(choices[2]!.logprobs.text_offset).toEqual([0, 0, 1, 4]);
});

test('a prompt longer than a step has rows for is told whole', async () => {
  const { url } = await serve({ ...SCRIPT, contextLength: 4096 });
  const prompt = 'x'.repeat(3000);
  const [choice] = (await complete(url, 'scripted', { prompt, max_tokens: 1, logprobs: 0 })).choices;
  expectConsistent(choice!);
  expect(choice!.logprobs.token_logprobs.slice(1)).not.toContain(null);
  expect(choice!.logprobs.tokens).toHaveLength(3001);
});
