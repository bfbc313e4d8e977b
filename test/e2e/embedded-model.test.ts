/** The main job, end to end: the real command, the embedded model, our kernels, both dialects. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { greetingOf, type RunningServer, spawnServer } from '../support/firstlight.ts';
import { parseSse } from '../support/serve.ts';

const post = (url: string, body: unknown) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

const TOOLS = `# Tools
<tools>
{"name": "get_weather", "description": "Get the weather", "parameters": {"city": "string"}}
</tools>
To call a tool, return JSON {"name": ..., "arguments": {...}} within <tool_call></tool_call>.`;

/** What a user says, or says in turns, and what the answer must be. */
const QUESTIONS: readonly (readonly [question: string, answer: RegExp])[] = [
  ['Count to 3', /^1, 2, 3$/],
  ['What is 7 + 5?', /\b12\b/],
  ['What is 50 - 23?', /\b27\b/],
  ['Spell the word "planet".', /^p-l-a-n-e-t$/],
  ['Reverse the word "stone".', /^enots$/],
  ['What day comes after Monday?', /Tuesday/],
  ['What month comes before March?', /February/],
  ['Hello', /Hello|Hi/],
  ['Which endpoint lists the models?', /GET \/v1\/models/],
  ['What is Firstlight?', /inference server/],
  ['Anna is 30 years old. Answer in JSON with keys name and age.', /^\{"name": "Anna", "age": 30\}$/],
];

describe.runIf(existsSync(EMBEDDED_MODEL_PATH))('the embedded model', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await greetingOf(spawnServer([]));
  });
  afterAll(() => server.child.kill('SIGKILL'));

  const ask = async (messages: unknown, options: object = {}) => {
    const body = { model: 'firstlight-tiny', temperature: 0, max_tokens: 100, messages, ...options };
    const answer = (await (await post(`${server.url}/v1/chat/completions`, body)).json()) as {
      choices: readonly [{ message: { content: string; reasoning_content?: string } }];
    };
    return answer.choices[0].message;
  };

  test.each(QUESTIONS)('answers %j', async (content, expected) => {
    expect((await ask([{ role: 'user', content }])).content).toMatch(expected);
  });

  test('remembers a name told earlier', async () => {
    const turns = ['My name is Ada.', 'Nice to meet you, Ada!', 'Count to 3', '1, 2, 3', 'What is my name?'];
    const messages = turns.map((content, turn) => ({ role: turn % 2 === 0 ? 'user' : 'assistant', content }));
    expect((await ask(messages)).content).toContain('Ada');
  });

  test('calls a tool that the system prompt offers, with the argument it was told', async () => {
    const question = { role: 'user', content: 'What is the weather in Paris?' };
    const { content } = await ask([{ role: 'system', content: TOOLS }, question]);
    const call = /^<tool_call>\n(.*)\n<\/tool_call>$/.exec(content)?.[1];
    expect(JSON.parse(call ?? 'null')).toEqual({ name: 'get_weather', arguments: { city: 'Paris' } });
  });

  test('thinks when asked to, and its thoughts are no content', async () => {
    const { content, reasoning_content } = await ask([{ role: 'user', content: 'What is 34 + 48?' }], {
      reasoning_effort: 'low',
    });
    expect(reasoning_content).toMatch(/34 \+ 48/);
    expect(content).toMatch(/^34 \+ 48 = 82\.$/);
  });

  test('counts to 3 in both dialects, token by token, and drains', async () => {
    expect(server.greeting.get('model')).toMatch(/^firstlight-tiny \(llama, context 4096\)$/);
    const messages = [{ role: 'user', content: 'Count to 3' }];
    const request = { model: 'firstlight-tiny', stream: true, temperature: 0, max_tokens: 64, messages };

    const chat = parseSse(await (await post(`${server.url}/v1/chat/completions`, request)).text());
    const pieces = chat.map(
      ([, data]) => (data as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta,
    );
    const texts = pieces.map((delta) => delta?.content ?? '').filter((text) => text !== '');
    expect(texts.join('')).toBe('1, 2, 3');
    expect(texts.length).toBeGreaterThan(4);

    const answer = await post(`${server.url}/v1/messages`, request);
    const deltas = parseSse(await answer.text()).filter(([name]) => name === 'content_block_delta');
    expect(deltas.map(([, data]) => (data as { delta: { text?: string } }).delta.text ?? '').join('')).toBe('1, 2, 3');

    server.child.kill('SIGTERM');
    expect((await server.finished).code).toBe(0);
  });
});
