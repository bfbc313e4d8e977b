/** What the page keeps of an answer, and what it sends of a conversation. */
import { expect, test } from 'vitest';
import { ApiError, type ChatChunk, ConnectionError } from '../../src/client/index.ts';
import { withChunk } from '../../src/web/answer-stream.ts';
import {
  type Answer,
  beginAnswer,
  type Exchange,
  keptConversation,
  readConversation,
  requestBody,
} from '../../src/web/conversation.ts';
import { failureOf } from '../../src/web/failure.ts';
import { figureTexts, tokensPerSecond } from '../../src/web/figures.ts';
import { DEFAULT_SETTINGS, parseTools, readSettings } from '../../src/web/settings.ts';

type Delta = ChatChunk['choices'][number]['delta'];

const chunk = (delta: Delta, rest: object = {}): ChatChunk => ({
  id: 'c',
  object: 'chat.completion.chunk',
  created: 0,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason: null, ...rest }],
});

const answerOf = (chunks: readonly ChatChunk[]): Answer =>
  chunks.reduce((answer, each, index) => withChunk(answer, each, 200 + index * 100), beginAnswer(100));

const exchange = (question: string, answer: Partial<Answer>): Exchange => ({
  question,
  answer: { ...beginAnswer(0), state: 'done', ...answer },
});

test('an answer is what its chunks say together', () => {
  const usage = {
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    prompt_tokens_details: { cached_tokens: 8 },
  };
  const answer = answerOf([
    chunk({ role: 'assistant', content: '' }),
    chunk({ reasoning_content: 'Hm', reasoning: 'Hm' }),
    chunk({ content: 'Hel' }),
    chunk({ content: 'lo' }),
    chunk({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] }),
    chunk({ tool_calls: [{ index: 1, id: 'call_2', type: 'function', function: { name: 'g', arguments: '{}' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
    { ...chunk({}, { finish_reason: 'length' }), warnings: [{ code: 'w', message: 'careful' }] },
    { ...chunk({}), choices: [], usage },
  ]);
  expect(answer).toEqual({
    state: 'running',
    reasoning: 'Hm',
    text: 'Hello',
    calls: [
      { id: 'call_1', name: 'f', arguments: '{"a":1}' },
      { id: 'call_2', name: 'g', arguments: '{}' },
    ],
    warnings: ['careful'],
    isCut: true,
    figures: {
      sentMs: 100,
      firstMs: 300,
      firstTextMs: 400,
      lastMs: 900,
      promptTokens: 10,
      completionTokens: 5,
      cachedTokens: 8,
    },
  });
});

test('figures are those of the server and of the clock, and none is made up', () => {
  const counted = {
    sentMs: 0,
    firstMs: 250,
    lastMs: 2_250,
    promptTokens: 1_200,
    cachedTokens: 1_024,
    completionTokens: 41,
  };
  expect(tokensPerSecond(counted)).toBe(20);
  expect(figureTexts(counted)).toEqual([
    '250 ms to the first token',
    '20.0 tokens/s',
    '41 tokens',
    'prompt of 1,200 tokens, 1,024 cached',
  ]);
  expect(figureTexts({ sentMs: 0 })).toEqual([]);
  expect(figureTexts({ sentMs: 0, firstMs: 1_500, lastMs: 2_000 })).toEqual(['1.5 s to the first token']);
  expect(tokensPerSecond({ ...counted, completionTokens: 1 })).toBeUndefined();
  expect(tokensPerSecond({ ...counted, lastMs: 251 })).toBeUndefined();
});

test('sends questions and answers by turns, without those that came to nothing', () => {
  const exchanges = [
    exchange('one', { text: 'first', reasoning: 'thought' }),
    exchange('lost', { state: 'failed' }),
    exchange('two', { text: 'half', state: 'stopped' }),
    exchange('three', { state: 'running' }),
  ];
  expect(
    requestBody(exchanges, { ...DEFAULT_SETTINGS, system: 'Be brief.', temperature: 0, maxTokens: 9 }, 'm'),
  ).toEqual({
    model: 'm',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'first', reasoning_content: 'thought' },
      { role: 'user', content: 'two' },
      { role: 'assistant', content: 'half' },
      { role: 'user', content: 'three' },
    ],
    stream_options: { include_usage: true },
    temperature: 0,
    max_completion_tokens: 9,
  });
  const plain = requestBody(exchanges.slice(0, 1), { ...DEFAULT_SETTINGS, tools: '[{"type":"function"}]' }, 'm');
  expect(plain).toEqual({
    model: 'm',
    messages: [{ role: 'user', content: 'one' }],
    stream_options: { include_usage: true },
    tools: [{ type: 'function' }],
  });
});

test('what was kept is read back, and nothing else is taken for it', () => {
  const kept = keptConversation([exchange('one', { text: 'a' }), exchange('two', { state: 'running', text: 'b' })]);
  const read = readConversation(JSON.parse(JSON.stringify(kept)));
  expect(read).toEqual(kept);
  expect(read.map(({ answer }) => answer.state)).toEqual(['done', 'stopped']);
  for (const other of [
    undefined,
    null,
    'x',
    {},
    [null],
    [{}],
    [{ question: 1, answer: {} }],
    [...kept, { question: 'x' }],
  ])
    expect(readConversation(other)).toEqual([]);
  const settings = { system: 's', transport: 'sse', tools: '[]', temperature: 0.5, maxTokens: 3 };
  expect(readSettings(settings)).toEqual(settings);
  expect(readSettings({ system: 1, transport: 'pigeon', tools: '{', temperature: '1' })).toEqual(DEFAULT_SETTINGS);
  expect(readSettings(null)).toEqual(DEFAULT_SETTINGS);
  expect([parseTools(' '), parseTools('[{}]'), parseTools('{}'), parseTools('[')]).toEqual([
    [],
    [{}],
    undefined,
    undefined,
  ]);
});

test.each([
  [new ConnectionError('the WebSocket was lost'), 'gone', /connection/],
  [new ApiError(401, { error: { message: 'no key' } }), 'key', /key/],
  [new ApiError(400, { error: { code: 'context_length_exceeded', message: 'too long' } }), 'other', /longer/],
  [new ApiError(403, { error: { message: 'no' } }), 'other', /this page/],
  [new ApiError(429, '<h1>busy</h1>'), 'other', /too much/],
  [new ApiError(500, {}), 'other', /failed/],
  [new ApiError(undefined, {}), 'other', /failed/],
  [new ApiError(404, {}), 'other', /refused/],
  [new TypeError('x is undefined'), 'other', /page itself/],
])('%s is told as what it is', (error, kind, title) => {
  expect(failureOf(error)).toEqual({ kind, title: expect.stringMatching(title), detail: expect.stringMatching(/\S/) });
});
