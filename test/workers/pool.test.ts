import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatPrompt } from '../../src/runtime/api.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { createNextToken } from '../../src/workers/next-token.ts';
import { createWorkerPool, type SampleRow, type WorkerPool } from '../../src/workers/pool.ts';
import { threadEntry } from '../../src/workers/thread-entry.ts';
import type { ByteDefinition } from '../../src/workers/tokenizer/definition.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';
import { smallVocabulary } from '../support/small-vocabulary.ts';

const bytes: ByteDefinition = {
  model: 'bytes',
  roleTokenIds: { system: 256, developer: 257, user: 258, assistant: 259, tool: 260 },
  endTokenIds: [261],
  extraTokens: [...new Array(6).fill(new Uint8Array()), Buffer.from('Hel'), Uint8Array.of(0xf0, 0x9f)],
  addBos: false,
};

const chat = (text: string, rest: Partial<ChatPrompt> = {}): ChatPrompt => ({
  kind: 'chat',
  messages: [{ role: 'user', content: text }],
  continueFinalMessage: false,
  ...rest,
});

const row = (source: SampleRow['source'], rest: Partial<SampleRow> = {}): SampleRow => ({
  source,
  sampling: DEFAULT_SAMPLING,
  seed: 1,
  index: 0,
  pending: new Uint8Array(),
  ...rest,
});

describe('a pool for a scripted model', () => {
  let pool: WorkerPool;
  beforeAll(async () => {
    pool = await createWorkerPool({ definition: bytes, numThreads: 2 });
  });
  afterAll(() => pool.close());

  test('turns a conversation into role markers and bytes', async () => {
    const prompt = chat('', {
      messages: [
        { role: 'system', content: 'A' },
        { role: 'user', content: 'é' },
      ],
    });
    const { tokenIds, reasoningOpened } = await pool.prepare(prompt);
    expect([...tokenIds]).toEqual([256, 65, 258, 0xc3, 0xa9, 259]);
    expect(reasoningOpened).toBe(false);
  });

  test('leaves a message open that is to be continued', async () => {
    const messages = [{ role: 'assistant' as const, content: [{ type: 'text' as const, text: 'B' }] }];
    expect([...(await pool.prepare(chat('', { messages, continueFinalMessage: true }))).tokenIds]).toEqual([259, 66]);
  });

  test('passes token ids through and writes texts byte by byte', async () => {
    expect([...(await pool.prepare({ kind: 'tokens', tokenIds: [7, 300] })).tokenIds]).toEqual([7, 300]);
    expect([...(await pool.prepare({ kind: 'text', text: 'ab' })).tokenIds]).toEqual([97, 98]);
  });

  test('says the text of tokens, and which one ends the turn', async () => {
    const greedy = { ...DEFAULT_SAMPLING, temperature: 0 };
    const rows = [262, 263, 261].map((tokenId) => row({ kind: 'token', tokenId }, { sampling: greedy }));
    expect(await pool.nextTokens(rows)).toEqual([
      { tokenId: 262, text: 'Hel', pending: new Uint8Array(), endOfTurn: false },
      { tokenId: 263, text: '', pending: Uint8Array.of(0xf0, 0x9f), endOfTurn: false },
      { tokenId: 261, text: '', pending: new Uint8Array(), endOfTurn: true },
    ]);
    expect(await pool.flush(Uint8Array.of(0xf0, 0x9f))).toBe('\ufffd');
    expect(await pool.nextTokens([])).toEqual([]);
  });

  test('gives every row of a large step what it would get alone, in order', async () => {
    const size = 256 + bytes.extraTokens.length;
    const logitsOf = (seed: number) => Float32Array.from({ length: size }, (_, id) => Math.sin(seed * 31 + id * 7));
    const rows = (): SampleRow[] =>
      Array.from({ length: 50 }, (_, seed) =>
        seed % 3 === 0
          ? row({ kind: 'token', tokenId: seed }, { sampling: { ...DEFAULT_SAMPLING, temperature: 0 } })
          : row({ kind: 'logits', logits: logitsOf(seed) }, { seed, index: seed }),
      );
    const alone = createNextToken(bytes, size);
    expect(await pool.nextTokens(rows())).toEqual(rows().map(alone));
  });

  test('says which row failed and why, beside the tokens of the others', async () => {
    const broken = row({ kind: 'logits', logits: new Float32Array(4).fill(Number.NaN) });
    const whole = row(
      { kind: 'logits', logits: Float32Array.of(0, 9) },
      { sampling: { ...DEFAULT_SAMPLING, topK: 1 } },
    );
    expect(await pool.nextTokens([broken, whole])).toMatchObject([{ failure: { code: 'internal' } }, { tokenId: 1 }]);
  });
});

describe('a pool for a model with a vocabulary', () => {
  test('does not start with a tokenizer that nothing here reads', async () => {
    const definition = smallVocabulary({ model: 'gpt2', merges: ['a b'], preTokenizer: 'from-the-future' });
    await expect(createWorkerPool({ definition, numThreads: 1 })).rejects.toMatchObject({ code: 'model_unsupported' });
  });

  test('keeps the code and the field of an error, and lives on when a template uses up memory or time', async () => {
    const chatTemplate =
      "{% if messages[0].content == 'odd' %}{{ raise_exception('not like this') }}{% endif %}{% set ns = namespace(x=1) %}" +
      "{% if messages[0].content == 'big' %}{% for a in range(1000) %}{% for b in range(1000) %}" +
      '{% set ns.x = [ns.x, range(100)] %}{% endfor %}{% endfor %}{% endif %}ab';
    const definition = smallVocabulary({ chatTemplate });
    const pool = await createWorkerPool({ definition, numThreads: 1, promptHeapMebibytes: 96 });
    await expect(pool.prepare(chat('odd'))).rejects.toMatchObject({
      name: 'EngineError',
      code: 'invalid_request',
      details: { param: 'messages' },
    });
    await expect(pool.prepare(chat('big'))).rejects.toMatchObject({ name: 'EngineError' });
    expect([...(await pool.prepare(chat('small'))).tokenIds]).toEqual([1, 6]);
    await pool.close();
  });
});

test('a thread’s entry lies beside its caller, in a checkout and in a build', () => {
  expect(threadEntry('file:///x/dist/workers/pool.js', './worker')).toEqual({
    url: new URL('file:///x/dist/workers/worker.js'),
    execArgv: [],
  });
  expect(threadEntry(import.meta.url, './worker').url.href.endsWith('/test/workers/worker.ts')).toBe(true);
});

describe('a prompt too long for one thread', () => {
  test('gets the tokens of the whole, BOS once', async () => {
    const definition = smallVocabulary({ addSpacePrefix: true });
    const pool = await createWorkerPool({ definition, numThreads: 2 });
    const text = 'ab ba '.repeat(60_000);
    const whole = [1, ...createTokenizer(definition).encode(text, { parseSpecial: true })];
    for (const prompt of [text, `<s>${text}`]) {
      const { tokenIds, reasoningOpened } = await pool.prepare({ kind: 'text', text: prompt });
      expect(Buffer.from(tokenIds.buffer).equals(Buffer.from(Uint32Array.from(whole).buffer))).toBe(true);
      expect(reasoningOpened).toBe(false);
    }
    await pool.close();
  });
});
