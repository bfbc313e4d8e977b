/** Text to token ids and back over HTTP, and the text that the model reads of a conversation. */

import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChatMessage } from '../../src/runtime/api.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { LocalEngine } from '../../src/runtime/engine.ts';
import { parseScript } from '../../src/runtime/scripted-model.ts';
import { ScriptedRunner } from '../../src/runtime/scripted-runner.ts';
import { openGguf } from '../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../src/runtime/weights/gguf-tokenizer.ts';
import { createServer } from '../../src/server/app.ts';
import type { VocabularyDefinition } from '../../src/workers/tokenizer/definition.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';
import { inlineWorkers } from '../support/inline-workers.ts';
import { post, serve } from '../support/serve.ts';

const SCRIPT = { contextLength: 64, replies: [{ tokens: ['ok'] }] };
const USER: ChatMessage = { role: 'user', content: 'Count to 3 <|im_end|>' };

const embeddedDefinition = async (): Promise<VocabularyDefinition> => {
  const file = await openGguf(EMBEDDED_MODEL_PATH);
  const definition = ggufTokenizer(file);
  await file.close();
  if (definition === undefined || definition.model === 'bytes') throw new Error('no vocabulary');
  return definition;
};

/** The embedded model's vocabulary and template over a forward pass that nobody asks for. */
const serveEmbedded = async () => {
  const definition = await embeddedDefinition();
  const script = parseScript(JSON.stringify(SCRIPT), 'test.json');
  const limits = { maxTokens: 64, maxSequences: 4, maxRows: 4 };
  const runner = new ScriptedRunner(script, { blockSize: 16, numBlocks: 16, limits });
  const engine = new LocalEngine({
    runner,
    model: {
      id: 'embedded',
      architecture: 'scripted',
      contextLength: 64,
      vocabularySize: definition.tokens.length,
      hasChatTemplate: true,
      generates: true,
      fingerprint: '00',
      createdAt: 0,
    },
    adapter: 'none',
    kvFormat: 'u32',
    output: { reasoning: 'none', tags: new Map() },
    workers: inlineWorkers(definition, definition.tokens.length),
    options: {},
    rebuild: async () => runner,
  });
  const server = await createServer(engine, { port: 0, logger: pino({ level: 'silent' }) });
  onTestFinished(async () => {
    await server.close();
    await engine.close();
  });
  const ask = async (path: string, body: unknown) => {
    const answer = await post(`${server.url}${path}`, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body as { tokens: number[]; content: string; prompt: string };
  };
  return { definition, tokenizer: createTokenizer(definition), ask, engine };
};

describe('the vocabulary of a model', () => {
  test('tokenizes a text as the tokenizer does, special tokens and BOS as asked', async () => {
    const { tokenizer, definition, ask } = await serveEmbedded();
    const special = tokenizer.specialTexts[0]!;
    const content = `Once upon a time${special}, 日本 🦙`;
    for (const parseSpecial of [true, false]) {
      const { tokens } = await ask('/tokenize', { content, parse_special: parseSpecial });
      expect(tokens).toEqual([...tokenizer.encode(content, { parseSpecial })]);
    }
    expect(await ask('/tokenize', { prompt: content })).toEqual(await ask('/tokenize', { content }));
    const { tokens } = await ask('/tokenize', { content: 'a', add_special: true });
    const bos = definition.addBos && definition.bosTokenId !== undefined ? [definition.bosTokenId] : [];
    expect(tokens).toEqual([...bos, ...tokenizer.encode('a', { parseSpecial: true })]);
  });

  test('gives the text back, also in pieces', async () => {
    const { ask } = await serveEmbedded();
    const content = 'Two  spaces,\n a line, 日本 🦙';
    const { tokens } = await ask('/tokenize', { content });
    expect(await ask('/detokenize', { tokens })).toEqual({ content });
    const pieces = (await ask('/tokenize', { content, with_pieces: true })).tokens as unknown as {
      id: number;
      piece: string | number[];
    }[];
    expect(pieces.map(({ id }) => id)).toEqual(tokens);
    expect(Buffer.concat(pieces.map(({ piece }) => Buffer.from(piece as string))).toString()).toBe(content);
  });

  test('shows the text of a conversation whose tokens are those that generation is fed', async () => {
    const { ask, engine, tokenizer, definition } = await serveEmbedded();
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Count to 3' },
    ];
    const { prompt } = await ask('/apply-template', { messages });
    expect(prompt).toContain('Be brief.');
    const { tokens } = await ask('/tokenize', { messages });
    const encoded = [...tokenizer.encode(prompt, { parseSpecial: true })];
    const bos = definition.addBos && encoded[0] !== definition.bosTokenId ? [definition.bosTokenId] : [];
    expect(tokens).toEqual([...bos, ...encoded]);
    const chat = { kind: 'chat', messages: messages as ChatMessage[], continueFinalMessage: false } as const;
    expect(await engine.countTokens(chat)).toBe(tokens.length);
  });

  test('renders what the other fields of a chat request say of it', async () => {
    const { ask } = await serveEmbedded();
    const messages = [USER];
    const thinking = await ask('/apply-template', { messages, chat_template_kwargs: { enable_thinking: true } });
    const silent = await ask('/apply-template', { messages, chat_template_kwargs: { enable_thinking: false } });
    expect(thinking.prompt).toContain(USER.content as string);
    expect(thinking.prompt).not.toBe(silent.prompt);
    expect(await ask('/apply-template', { messages, reasoning_effort: 'none' })).toEqual(silent);
  });
});

describe('the routes', () => {
  test('go through the worker threads and the key', async () => {
    const { url } = await serve(SCRIPT, { apiKeys: ['secret'] });
    const ask = (path: string, body: unknown) => post(`${url}${path}`, body, { authorization: 'Bearer secret' });
    expect((await post(`${url}/tokenize`, { content: 'a' })).status).toBe(401);
    expect((await ask('/tokenize', { content: 'aé' })).body).toEqual({ tokens: [97, 0xc3, 0xa9] });
    expect((await ask('/tokenize', { content: 'é', with_pieces: true })).body).toEqual({
      tokens: [
        { id: 0xc3, piece: [0xc3] },
        { id: 0xa9, piece: [0xa9] },
      ],
    });
    expect((await ask('/detokenize', { tokens: [97, 0xc3, 0xa9] })).body).toEqual({ content: 'aé' });
    expect((await ask('/detokenize', { tokens: [] })).body).toEqual({ content: '' });
    expect((await ask('/apply-template', { messages: [USER] })).body).toEqual({ prompt: USER.content });
  });

  test.each([
    ['/tokenize', {}, 'content'],
    ['/tokenize', { content: 1 }, 'content'],
    ['/tokenize', { content: 'a', messages: [USER] }, 'messages'],
    ['/tokenize', { messages: [] }, 'messages'],
    ['/tokenize', { messages: [{ role: 'nobody', content: 'a' }] }, 'messages[0].role'],
    ['/detokenize', {}, 'tokens'],
    ['/detokenize', { tokens: [1.5] }, 'tokens[0]'],
    ['/detokenize', { tokens: [-1] }, 'tokens[0]'],
    ['/detokenize', { tokens: [1_000_000] }, 'tokens'],
    ['/detokenize', { tokens: 'a' }, 'tokens'],
    ['/apply-template', {}, 'messages'],
    ['/apply-template', { messages: [USER], chat_template_kwargs: 1 }, 'chat_template_kwargs'],
  ])('%s refuses %j and names %s', async (path, body, param) => {
    const { url } = await serve(SCRIPT);
    const answer = await post(`${url}${path}`, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: { param, type: 'invalid_request_error' } });
  });

  test('take no larger bodies and no more requests than others', async () => {
    const { url } = await serve(SCRIPT, { bodyLimitBytes: 100 });
    expect((await post(`${url}/tokenize`, { content: 'a'.repeat(200) })).status).toBe(413);
    const full = await serve(SCRIPT, { maxConcurrentRequests: 0 });
    for (const path of ['/tokenize', '/detokenize', '/apply-template'])
      expect((await post(`${full.url}${path}`, { content: 'a' })).status).toBe(429);
  });
});
