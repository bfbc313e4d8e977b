/** The OpenAI routes as the official SDKs see them, and as the wire shows them. */
import type OpenAI from 'openai';
import { afterAll, describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { expectSchema, numChecked } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  reasoningFormat: 'think',
  replies: [
    { when: 'think', tokens: ['<think>', 'Hm', 'm.', '</think>', 'So', ' 4'] },
    { when: 'emoji', tokens: ['a', { base64: '8J+Y' }, { base64: 'gA==' }, 'b'] },
    { when: 'long', tokens: ['a', 'b', 'c', 'd'], finish: 'length' },
    { when: 'break', tokens: ['one', 'two', 'three'], failAfterTokens: 2 },
    { tokens: ['1', ', ', '2', ', ', '3'] },
  ],
};
const ask = (content: string) => [{ role: 'user' as const, content }];

afterAll(() => {
  const checked = numChecked('openai');
  console.log(
    checked === undefined
      ? 'no OpenAI schemas here: none checked'
      : `${checked} values checked against OpenAI's schemas`,
  );
  if (checked !== undefined) expect(checked).toBeGreaterThan(0);
});

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  describe.each(TRANSPORTS)('over %s', (transport) => {
    const connect = async () => {
      const served = await serve(SCRIPT, { transport });
      return { ...served, client: new Sdk({ baseURL: `${served.url}/v1`, apiKey: 'x', maxRetries: 0 }) };
    };

    test('answers a chat with content, finish reason and usage', async () => {
      const { client } = await connect();
      const completion = await client.chat.completions.create({ model: 'scripted', messages: ask('Count to 3') });
      expectSchema('openai', 'CreateChatCompletionResponse', completion);
      expect(completion.choices).toHaveLength(1);
      expect(completion.choices[0]).toMatchObject({
        index: 0,
        finish_reason: 'stop',
        logprobs: null,
        message: { role: 'assistant', content: '1, 2, 3', refusal: null },
      });
      expect(completion.usage?.completion_tokens).toBe(5);
      expect(completion.usage?.total_tokens).toBe((completion.usage?.prompt_tokens ?? 0) + 5);
      expect(completion._request_id).toMatch(/^req_/);
    });

    test('streams a chat that the SDK assembles', async () => {
      const { client } = await connect();
      const stream = client.chat.completions.stream({
        model: 'scripted',
        messages: ask('Count to 3'),
        stream_options: { include_usage: true },
      });
      const pieces: string[] = [];
      stream.on('content', (delta) => pieces.push(delta));
      const completion = await stream.finalChatCompletion();
      expect(pieces).toEqual(['1', ', ', '2', ', ', '3']);
      expect(completion.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '1, 2, 3' } });
      expect(completion.usage?.completion_tokens).toBe(5);
    });

    test('streams every choice of n, and counts the prompt once', async () => {
      const { client } = await connect();
      const alone = await client.chat.completions.create({ model: 'scripted', messages: ask('Count to 3') });
      const texts = ['', '', ''];
      const finished: number[] = [];
      let usage: OpenAI.CompletionUsage | null | undefined;
      const stream = await client.chat.completions.create({
        model: 'scripted',
        messages: ask('Count to 3'),
        n: 3,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const chunk of stream) {
        expectSchema('openai', 'CreateChatCompletionStreamResponse', chunk);
        for (const choice of chunk.choices) {
          texts[choice.index] += choice.delta.content ?? '';
          if (choice.finish_reason !== null) finished.push(choice.index);
        }
        usage = chunk.usage;
      }
      expect(texts).toEqual(['1, 2, 3', '1, 2, 3', '1, 2, 3']);
      expect(finished.sort()).toEqual([0, 1, 2]);
      expect(usage).toMatchObject({ prompt_tokens: alone.usage?.prompt_tokens, completion_tokens: 15 });
    });

    test('keeps thinking out of the content, streamed or not', async () => {
      const { client } = await connect();
      const body = { model: 'scripted', messages: ask('please think'), reasoning_effort: 'high' as const };
      const { choices, usage } = await client.chat.completions.create(body);
      expect(choices[0]?.message).toMatchObject({ content: 'So 4', reasoning: 'Hmm.', reasoning_content: 'Hmm.' });
      expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(0);
      let text = '';
      let thoughts = '';
      for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
        const delta = chunk.choices[0]?.delta as { content?: string; reasoning?: string; reasoning_content?: string };
        expect(delta.reasoning).toBe(delta.reasoning_content);
        text += delta.content ?? '';
        thoughts += delta.reasoning ?? '';
      }
      expect([thoughts, text]).toEqual(['Hmm.', 'So 4']);
    });

    test('completes plain text, streamed or not', async () => {
      const { client } = await connect();
      const completion = await client.completions.create({ model: 'scripted', prompt: 'Count', n: 2 });
      expectSchema('openai', 'CreateCompletionResponse', completion);
      expect(completion.choices.map(({ text, index, finish_reason }) => [index, text, finish_reason])).toEqual([
        [0, '1, 2, 3', 'stop'],
        [1, '1, 2, 3', 'stop'],
      ]);
      let text = '';
      for await (const chunk of await client.completions.create({ model: 'scripted', prompt: 'Count', stream: true }))
        text += chunk.choices[0]?.text ?? '';
      expect(text).toBe('1, 2, 3');
    });

    test('lists the model and gets it by name', async () => {
      const { client } = await connect();
      const list = await client.models.list();
      expectSchema('openai', 'Model', list.data[0]);
      expect(list.data.map((model) => model.id)).toEqual(['scripted']);
      expect((await client.models.retrieve('scripted')).object).toBe('model');
      await expect(client.models.retrieve('gpt-9')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    });

    test('tells of a failure inside the stream, then closes without a finish', async () => {
      const { client } = await connect();
      const seen: string[] = [];
      const stream = await client.chat.completions.create({ model: 'scripted', messages: ask('break'), stream: true });
      const reading = (async () => {
        for await (const chunk of stream) {
          seen.push(chunk.choices[0]?.delta.content ?? '');
          expect(chunk.choices[0]?.finish_reason).toBeNull();
        }
      })();
      await expect(reading).rejects.toBeInstanceOf(Sdk.APIError);
      expect(seen).toEqual(['', 'one', 'two']);
      await expect(client.chat.completions.create({ model: 'scripted', messages: ask('break') })).rejects.toMatchObject(
        { status: 500 },
      );
    });
  });
});

test('writes the stream exactly as clients expect it', async () => {
  const { url } = await serve(SCRIPT);
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({
      model: 'scripted',
      messages: ask('long'),
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-cache, no-transform');
  expect(answer.headers.get('x-accel-buffering')).toBe('no');
  expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  const text = await answer.text();
  expect(text).toMatch(/^(data: \S[^\n]*\n\n)+$/);
  const events = parseSse(text).map(([, data]) => data) as {
    id: string;
    created: number;
    choices: object[];
    usage: unknown;
  }[];
  expect(events.at(-1)).toBe('[DONE]');
  const chunks = events.slice(0, -1);
  expect(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
  const choice = (delta: object, finish: string | null = null): object => ({
    index: 0,
    delta,
    logprobs: null,
    finish_reason: finish,
  });
  expect(chunks.map(({ choices, usage }) => (choices.length > 0 ? [choices[0], usage] : typeof usage))).toEqual([
    [choice({ role: 'assistant', content: '' }), null],
    ...['a', 'b', 'c', 'd'].map((content) => [choice({ content }), null]),
    [choice({}, 'length'), null],
    'object',
  ]);
  for (const chunk of chunks) expectSchema('openai', 'CreateChatCompletionStreamResponse', chunk);
});

test('reports log-probabilities of content tokens with their bytes', async () => {
  const { url } = await serve(SCRIPT);
  const { body } = await post(`${url}/v1/chat/completions`, {
    model: 'scripted',
    messages: ask('Count to 3'),
    logprobs: true,
    top_logprobs: 1,
  });
  expectSchema('openai', 'CreateChatCompletionResponse', body);
  const { choices } = body as {
    choices: { logprobs: { content: { token: string; bytes: number[]; top_logprobs: unknown[] }[] } }[];
  };
  const content = choices[0]?.logprobs.content ?? [];
  expect(content.map(({ token }) => token).join('')).toBe('1, 2, 3');
  for (const entry of content) {
    expect(Buffer.from(entry.bytes).toString()).toBe(entry.token);
    expect(entry.top_logprobs).toHaveLength(1);
  }
});

test('ends before a stop string, at max tokens, and prefers max_completion_tokens', async () => {
  const { url } = await serve(SCRIPT);
  const chat = async (extra: object): Promise<unknown> => {
    const { body } = await post(`${url}/v1/chat/completions`, {
      model: 'scripted',
      messages: ask('Count to 3'),
      ...extra,
    });
    const [choice] = (body as { choices: { message: { content: string }; finish_reason: string }[] }).choices;
    return [choice?.message.content, choice?.finish_reason];
  };
  expect(await chat({ stop: '2' })).toEqual(['1, ', 'stop']);
  expect(await chat({ stop: ['x', '3'] })).toEqual(['1, 2, ', 'stop']);
  expect(await chat({ max_tokens: 3 })).toEqual(['1, 2', 'length']);
  expect(await chat({ max_tokens: 3, max_completion_tokens: 1 })).toEqual(['1', 'length']);
  expect(
    await chat({
      stop: null,
      n: null,
      seed: null,
      tools: [],
      tool_choice: 'none',
      response_format: { type: 'text' },
      unknown_field: {},
    }),
  ).toEqual(['1, 2, 3', 'stop']);
});

test('sends only whole characters, and the bytes of their parts where asked', async () => {
  const { url } = await serve(SCRIPT);
  const body = { model: 'scripted', messages: ask('emoji'), logprobs: true };
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...body, stream: true }),
  });
  const chunks = parseSse(await answer.text()).map(([, data]) => data as OpenAI.ChatCompletionChunk);
  const contents = chunks.flatMap(({ choices }) => choices?.map(({ delta }) => delta.content ?? '') ?? []);
  expect(contents.filter((content) => content !== '')).toEqual(['a', '😀', 'b']);
  const { choices } = (await post(`${url}/v1/chat/completions`, body)).body as OpenAI.ChatCompletion;
  const tokens = choices[0]?.logprobs?.content?.map(({ token, bytes }) => [token, bytes]);
  expect(tokens).toEqual([
    ['a', [0x61]],
    ['bytes:\\xf0\\x9f\\x98', [0xf0, 0x9f, 0x98]],
    ['bytes:\\x80', [0x80]],
    ['b', [0x62]],
  ]);
});

test('says how much of the prompt came from the cache', async () => {
  const { url } = await serve(SCRIPT);
  const body = { model: 'scripted', messages: ask(`${'Please. '.repeat(20)}Count to 3.`) };
  const usage = async () => ((await post(`${url}/v1/chat/completions`, body)).body as OpenAI.ChatCompletion).usage;
  const first = await usage();
  const second = await usage();
  expect(first?.prompt_tokens_details?.cached_tokens).toBe(0);
  expect(second?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(0);
  expect(second?.prompt_tokens).toBe(first?.prompt_tokens);
});
