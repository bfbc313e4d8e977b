/** Legacy completions: prompts of every kind, echo, the best of several, log-probabilities in their old arrays. */
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import type { ChosenLogprob, GenerationRequest } from '../../src/runtime/api.ts';
import { completionRequests, first } from '../support/parse.ts';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { finish, lastText, serveTold, type Told } from '../support/told-engine.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  replies: [{ when: 'emoji', tokens: ['é', { base64: '8J+Y' }, { base64: 'gA==' }, '!'] }, { tokens: ['one', ' two'] }],
};

const complete = async (url: string, body: object): Promise<OpenAI.Completion> => {
  const answer = await post(`${url}/v1/completions`, { model: 'scripted', ...body });
  expect(answer.status).toBe(200);
  expectSchema('openai', 'CreateCompletionResponse', answer.body);
  return answer.body as OpenAI.Completion;
};

const stream = async (url: string, body: object): Promise<readonly OpenAI.Completion[]> => {
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'scripted', ...body, stream: true }),
  });
  const events = parseSse(await answer.text()).map(([, data]) => data);
  expect(events.at(-1)).toBe('[DONE]');
  return events.slice(0, -1) as OpenAI.Completion[];
};

const texts = ({ choices }: OpenAI.Completion) => choices.map(({ index, text }) => [index, text]);

describe('prompts', () => {
  test('of every kind become requests, each prompt with its choices', () => {
    const prompts = (body: object) => completionRequests(body).then((requests) => requests.map(({ prompt }) => prompt));
    return Promise.all([
      expect(prompts({ prompt: 'a' })).resolves.toEqual([{ kind: 'text', text: 'a' }]),
      expect(prompts({ prompt: ['a', 'b'], n: 2 })).resolves.toEqual(
        ['a', 'a', 'b', 'b'].map((text) => ({ kind: 'text', text })),
      ),
      expect(prompts({ prompt: [5, 6] })).resolves.toEqual([{ kind: 'tokens', tokenIds: [5, 6] }]),
      expect(prompts({ prompt: [[5], [6, 7]] })).resolves.toEqual([
        { kind: 'tokens', tokenIds: [5] },
        { kind: 'tokens', tokenIds: [6, 7] },
      ]),
      expect(prompts({ prompt: ['a'], suffix: 'z' })).resolves.toEqual([{ kind: 'fill', prefix: 'a', suffix: 'z' }]),
      expect(prompts({ prompt: 'a', suffix: '' })).resolves.toEqual([{ kind: 'text', text: 'a' }]),
    ]);
  });

  test('have ids of their own, and choices the seeds they would have alone', async () => {
    const requests = await completionRequests({ prompt: ['a', 'b'], n: 2, seed: 7 });
    expect(new Set(requests.map(({ id }) => id)).size).toBe(4);
    const seeds = requests.map(({ sampling }) => sampling.seed);
    expect(seeds.slice(0, 2)).toEqual(seeds.slice(2));
    expect(seeds[0]).toBe(7);
  });

  test('may be constrained', async () => {
    const constraint = async (body: object) => first(await completionRequests({ prompt: 'a', ...body })).constraint;
    expect(await constraint({})).toBeUndefined();
    expect(await constraint({ regex: 'a+' })).toEqual({ kind: 'regex', pattern: 'a+', param: 'regex' });
    const format = { response_format: { type: 'json_object' } };
    expect(await constraint(format)).toMatchObject({ kind: 'json_object' });
  });
});

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  test('gets a choice for each prompt and n, and the usage of all', async () => {
    const { url } = await serve(SCRIPT);
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
    const completion = await client.completions.create({ model: 'scripted', prompt: ['abc', 'defgh'], n: 2 });
    expect(texts(completion)).toEqual([0, 1, 2, 3].map((index) => [index, 'one two']));
    expect(completion.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 8, total_tokens: 16 });
    const ids = [...Buffer.from('abc')];
    expect(texts(await client.completions.create({ model: 'scripted', prompt: ids, echo: true }))).toEqual([
      [0, 'abcone two'],
    ]);
  });
});

test('streams each prompt under its own index, and the usage of all at the end', async () => {
  const { url } = await serve(SCRIPT);
  const chunks = await stream(url, { prompt: ['abc', 'defgh'], stream_options: { include_usage: true } });
  const joined = ['', ''];
  for (const { choices } of chunks) for (const { index, text } of choices) joined[index] += text;
  expect(joined).toEqual(['one two', 'one two']);
  const reasons = chunks.flatMap(({ choices }) => choices.filter(({ finish_reason: reason }) => reason !== null));
  expect(reasons.map(({ index }) => index).sort()).toEqual([0, 1]);
  expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 4 });
});

test('echoes the prompt before the answer, streamed or not, and alone with max_tokens 0', async () => {
  const { url } = await serve(SCRIPT);
  const body = { prompt: ['Say ', 'Tell '], echo: true };
  expect(texts(await complete(url, body))).toEqual([
    [0, 'Say one two'],
    [1, 'Tell one two'],
  ]);
  expect(texts(await complete(url, { ...body, max_tokens: 0 }))).toEqual([
    [0, 'Say '],
    [1, 'Tell '],
  ]);
  const joined = ['', ''];
  for (const { choices } of await stream(url, body)) for (const { index, text } of choices) joined[index] += text;
  expect(joined).toEqual(['Say one two', 'Tell one two']);
});

test('gives log-probabilities in four arrays, with offsets into the text', async () => {
  const { url } = await serve(SCRIPT);
  const body = { prompt: 'emoji', logprobs: 2 };
  const [choice] = (await complete(url, body)).choices;
  expect(choice?.text).toBe('é😀!');
  const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
  expect(tokens).toEqual(['é', 'bytes:\\xf0\\x9f\\x98', 'bytes:\\x80', '!']);
  expect(text_offset).toEqual([0, 1, 1, 2]);
  expect(token_logprobs).toHaveLength(4);
  for (const [index, top] of (top_logprobs ?? []).entries()) {
    expect(Object.keys(top).length).toBeGreaterThanOrEqual(2);
    expect(top[tokens![index]!]).toBe(token_logprobs?.[index]);
  }
  const streamed = (await stream(url, body)).flatMap(({ choices }) => choices.map(({ logprobs }) => logprobs));
  expect(streamed.flatMap((logprobs) => logprobs?.tokens ?? [])).toEqual(tokens);
  expect(streamed.flatMap((logprobs) => logprobs?.text_offset ?? [])).toEqual(text_offset);
  const [chosenOnly] = (await complete(url, { ...body, logprobs: 0 })).choices;
  expect(chosenOnly?.logprobs?.top_logprobs?.map((top) => Object.keys(top))).toEqual(tokens?.map((token) => [token]));
  expect((await complete(url, { prompt: 'emoji' })).choices[0]?.logprobs).toBeNull();
});

describe('best_of', () => {
  /** Candidate i of a prompt says i, with the mean log-probability that the test gives it. */
  const tell = (means: Readonly<Record<string, readonly number[]>>) => {
    const numAsked = new Map<string, number>();
    return ({ prompt }: GenerationRequest): readonly Told[] => {
      const text = lastText(prompt);
      const candidate = numAsked.get(text) ?? 0;
      numAsked.set(text, candidate + 1);
      const logprob = means[text]?.[candidate] ?? 0;
      const bytes = Buffer.from(String(candidate));
      const logprobs: ChosenLogprob[] = Array.from({ length: candidate + 1 }, () => ({
        tokenId: 1,
        bytes,
        logprob,
        top: [],
      }));
      return [{ type: 'text', text: `${text}${candidate}`, logprobs }, finish()];
    };
  };

  test('gives the n answers with the highest mean log-probability of each prompt, and counts all', async () => {
    const { url, requests } = await serveTold(tell({ a: [-3, -1, -2], b: [-1, -3, -0.5] }));
    const completion = await complete(url, { prompt: ['a', 'b'], n: 2, best_of: 3 });
    expect(texts(completion)).toEqual([
      [0, 'a1'],
      [1, 'a2'],
      [2, 'b2'],
      [3, 'b0'],
    ]);
    expect(completion.choices.every(({ logprobs }) => logprobs === null)).toBe(true);
    expect(completion.usage).toMatchObject({ prompt_tokens: 40, completion_tokens: 54 });
    expect(requests.map(({ sampling }) => sampling.topLogprobs)).toEqual(Array(6).fill(0));
  });

  test('that is n leaves the order alone, and asks for no log-probabilities', async () => {
    const { url, requests } = await serveTold(tell({ a: [-3, -1] }));
    expect(texts(await complete(url, { prompt: 'a', n: 2, best_of: 2 }))).toEqual([
      [0, 'a0'],
      [1, 'a1'],
    ]);
    expect(requests[0]?.sampling.topLogprobs).toBeUndefined();
  });
});

test('fills a gap between prompt and suffix, where the model has tokens for it', async () => {
  const specialTokens = { '<|fim_prefix|>': 300, '<|fim_suffix|>': 301, '<|fim_middle|>': 302 };
  const { url } = await serve({ specialTokens, replies: [{ when: 'def', tokens: ['return 1'] }] });
  const completion = await complete(url, { prompt: 'def f():\n  ', suffix: '\n', echo: true });
  expect(texts(completion)).toEqual([[0, 'def f():\n  return 1']]);
  expect(completion.usage?.prompt_tokens).toBe('def f():\n  \n'.length + 3);
});
