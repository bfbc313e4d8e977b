/** Streams that are read on after their connection was lost: nothing is missing, nothing comes twice, nobody else reads. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { DEFAULT_STREAM_STORE, StreamStore } from '../../src/server/resume/stream-store.ts';
import { post, type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const TOKENS = ['one', ' two', ' three', ' four', ' fünf', '\n\n', 'data: six\n'];
const SCRIPT: Script = { replies: [{ tokens: TOKENS }] };
const messages = [{ role: 'user', content: 'go' }];
const ROUTES = [
  { path: '/v1/chat/completions', body: { model: 'scripted', messages, stream: true } },
  { path: '/v1/messages', body: { model: 'scripted', max_tokens: 4000, messages, stream: true } },
  { path: '/v1/responses', body: { model: 'scripted', input: messages, stream: true } },
];
const [CHAT] = ROUTES as [(typeof ROUTES)[0]];
const RESUME = { 'x-firstlight-resume': '1' };

interface Block {
  readonly id: number;
  readonly text: string;
}

/** Reads an answer event by event; comments are left out. */
class Reading {
  readonly answer: Response;
  readonly blocks: Block[] = [];
  hasEnded = false;
  readonly #leaving: AbortController;

  private constructor(answer: Response, leaving: AbortController) {
    this.answer = answer;
    this.#leaving = leaving;
    void this.#read().catch(() => {
      this.hasEnded = true;
    });
  }

  static async open(url: string, init: RequestInit = {}): Promise<Reading> {
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    return new Reading(await fetch(url, { ...init, signal: leaving.signal }), leaving);
  }

  get streamId(): string {
    return this.answer.headers.get('x-firstlight-stream') ?? '';
  }

  leave(): void {
    this.#leaving.abort();
  }

  async #read(): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const piece of this.answer.body as ReadableStream<Uint8Array>) {
      const texts = (rest + decoder.decode(piece, { stream: true })).split('\n\n');
      rest = texts.pop() ?? '';
      for (const text of texts.filter((each) => !each.startsWith(':'))) {
        this.blocks.push({ id: Number(/^id: (\d+)\n/.exec(text)?.[1]), text: text.replace(/^id: \d+\n/, '') });
      }
    }
    this.hasEnded = true;
  }
}

const begin = (url: string, { path, body }: (typeof ROUTES)[0], headers: Record<string, string> = RESUME) =>
  Reading.open(url + path, { method: 'POST', body: JSON.stringify(body), headers });

const resume = (url: string, id: string, lastEventId?: number | string, headers: Record<string, string> = {}) =>
  Reading.open(`${url}/v1/streams/${id}`, {
    headers: { ...headers, ...(lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }) },
  });

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const withoutIds = (blocks: readonly Block[]): string[] =>
  blocks.map(({ text }) =>
    text.replaceAll(
      /"(id|item_id|request_id)":"[^"]*"|"(created|created_at|completed_at)":\d+|"cached_tokens":\d+/g,
      '',
    ),
  );

describe.each(TRANSPORTS)('over %s', (transport) => {
  const start = (options: ServeOptions = {}) => serve(SCRIPT, { transport, ...options });

  describe.each(ROUTES)('$path', (route) => {
    test('gives the same whole after a cut at every event', async () => {
      const gate = new TokenGate();
      const { url, engine } = await start({ beforeToken: gate.beforeToken });
      gate.open();
      const plain = await begin(url, route, {});
      await until(() => plain.hasEnded);
      expect(plain.blocks.every(({ id }) => Number.isNaN(id))).toBe(true);
      for (let cut = 0; cut <= plain.blocks.length; cut++) {
        gate.allow(1);
        const first = await begin(url, route);
        // The connection is lost while tokens are still to come, and once all have come.
        if (cut % 2 === 0) gate.open();
        const wanted = cut % 2 === 0 ? plain.blocks.length : Math.min(cut, 1);
        await until(() => first.blocks.length >= wanted);
        const kept = first.blocks.slice(0, cut % 2 === 0 ? cut : wanted);
        first.leave();
        gate.open();
        const second = await resume(url, first.streamId, kept.at(-1)?.id);
        await until(() => second.hasEnded);
        const whole = [...kept, ...second.blocks];
        expect(whole.map(({ id }) => id)).toEqual(numbers(plain.blocks.length));
        expect(withoutIds(whole)).toEqual(withoutIds(plain.blocks));
      }
      await until(() => engine.stats().running === 0);
    });

    test('goes on while nobody reads, then live with who comes back', async () => {
      const gate = new TokenGate();
      const { url, engine } = await start({ beforeToken: gate.beforeToken });
      gate.allow(1);
      const first = await begin(url, route);
      await until(() => first.blocks.some(({ text }) => text.includes('one')));
      first.leave();
      gate.allow(3);
      const second = await resume(url, first.streamId, first.blocks.at(-1)?.id);
      await until(() => second.blocks.some(({ text }) => text.includes(' three')));
      expect(engine.stats().running).toBe(1);
      // Whoever reads last has the stream.
      const third = await resume(url, first.streamId);
      await until(() => second.hasEnded);
      gate.open();
      await until(() => third.hasEnded);
      expect(third.blocks.map(({ id }) => id)).toEqual(numbers(third.blocks.length));
      const again = await resume(url, first.streamId, 2);
      await until(() => again.hasEnded);
      expect(again.blocks).toEqual(third.blocks.slice(2));
    });
  });

  test('ends the work when nobody comes back in time, and says so to who comes late', async () => {
    const gate = new TokenGate();
    const { url, engine } = await start({
      beforeToken: gate.beforeToken,
      streamStore: { ...DEFAULT_STREAM_STORE, graceMs: 1_000 },
    });
    gate.allow(1);
    const first = await begin(url, CHAT);
    await until(() => first.blocks.length >= 2);
    first.leave();
    gate.allow(2);
    await until(() => engine.stats().running === 0);
    const late = await resume(url, first.streamId, 1);
    await until(() => late.hasEnded);
    expect(late.blocks.at(-1)?.text).toContain('nobody came back');
    const isForgotten = async (): Promise<boolean> => (await resume(url, first.streamId)).answer.status === 404;
    while (!(await isForgotten())) await new Promise((resolve) => setTimeout(resolve, 50));
  });

  test('ends with the client where nothing was asked for, and where there is no stream', async () => {
    const gate = new TokenGate();
    const { url, engine } = await start({ beforeToken: gate.beforeToken });
    const plain = await begin(url, CHAT, {});
    expect(plain.streamId).toBe('');
    plain.leave();
    const leaving = new AbortController();
    const body = JSON.stringify({ ...CHAT.body, stream: false });
    const whole = fetch(url + CHAT.path, { method: 'POST', body, headers: RESUME, signal: leaving.signal });
    await until(() => engine.stats().running + engine.stats().waiting > 0);
    leaving.abort();
    await expect(whole).rejects.toThrow();
    gate.open();
    await until(() => engine.stats().running + engine.stats().waiting === 0);
    const { status, headers } = await post(url + CHAT.path, { ...CHAT.body, stream: false }, RESUME);
    expect([status, headers.get('x-firstlight-stream')]).toEqual([200, null]);
    expect((await post(url + CHAT.path, { ...CHAT.body, model: 'other' }, RESUME)).status).toBe(404);
  });

  test('ends the work of a stream that is deleted', async () => {
    const gate = new TokenGate();
    const { url, engine } = await start({ beforeToken: gate.beforeToken });
    gate.allow(1);
    const first = await begin(url, CHAT);
    await until(() => first.blocks.length > 0);
    const erase = (): Promise<Response> => fetch(`${url}/v1/streams/${first.streamId}`, { method: 'DELETE' });
    expect((await erase()).status).toBe(204);
    gate.allow(2);
    await until(() => engine.stats().running === 0 && first.hasEnded);
    expect((await erase()).status).toBe(404);
    expect((await resume(url, first.streamId)).answer.status).toBe(404);
  });

  test('draining ends what nobody reads, and finishes the rest', async () => {
    const gate = new TokenGate();
    const { url, server } = await start({ beforeToken: gate.beforeToken });
    gate.allow(1);
    const lost = await begin(url, CHAT);
    lost.leave();
    const read = await begin(url, CHAT);
    const drained = server.drain();
    gate.open();
    await until(() => read.hasEnded);
    expect(read.blocks.at(-1)?.text).toBe('data: [DONE]');
    await drained;
  });
});

test('belongs to the key that began it', async () => {
  const { url } = await serve(SCRIPT, { apiKeys: ['mine', 'other'] });
  const mine = { authorization: 'Bearer mine' };
  const first = await begin(url, CHAT, { ...RESUME, ...mine });
  await until(() => first.hasEnded);
  expect((await resume(url, first.streamId, 0, { authorization: 'Bearer other' })).answer.status).toBe(404);
  expect((await resume(url, first.streamId, 0)).answer.status).toBe(401);
  expect((await resume(url, first.streamId, 0, mine)).answer.status).toBe(200);
});

test('refuses positions that make no sense, and those that are no longer kept', async () => {
  const { url } = await serve(SCRIPT, { streamStore: { ...DEFAULT_STREAM_STORE, maxStreamBytes: 700 } });
  const first = await begin(url, CHAT);
  await until(() => first.hasEnded);
  const last = first.blocks.length;
  for (const wrong of [last + 1, -1, 'x', '1.5', '9'.repeat(30)]) {
    expect([wrong, (await resume(url, first.streamId, wrong)).answer.status]).toEqual([wrong, 400]);
  }
  expect((await resume(url, first.streamId, 0)).answer.status).toBe(404);
  const end = await resume(url, first.streamId, last - 1);
  await until(() => end.hasEnded);
  expect(end.blocks).toEqual(first.blocks.slice(-1));
  const unknown = await fetch(`${url}/v1/streams/req_unknown`);
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: { code: 'stream_not_found' } }]);
  expect((await post(`${url}/v1/streams/${first.streamId}`, {})).status).toBe(405);
});

test('goes on to its end where nothing is kept, and cannot be resumed', async () => {
  const { url } = await serve(SCRIPT, { streamStore: { graceMs: 60_000, maxStreamBytes: 0, maxBytes: 0 } });
  const [kept, dropped] = [await begin((await serve(SCRIPT)).url, CHAT), await begin(url, CHAT)];
  await until(() => kept.hasEnded && dropped.hasEnded);
  expect(dropped.blocks.length).toBe(kept.blocks.length);
  expect((await resume(url, dropped.streamId, 0)).answer.status).toBe(404);
});

test('keeps all streams together within bounds: what has ended goes first, then the oldest events', () => {
  const store = new StreamStore({ graceMs: 60_000, maxStreamBytes: 10_000, maxBytes: 3_000 });
  onTestFinished(() => store.close());
  const event = { kind: 'data', payload: { text: 'x'.repeat(460) } } as const;
  const [ended, running] = [store.open('ended', 'me'), store.open('running', 'me')];
  ended.write([event, event]);
  ended.end();
  for (let count = 0; count < 4; count++) running.write([event]);
  expect(store.find('ended', 'me')).toBe(ended);
  running.write([event]);
  expect(store.find('ended', 'me')).toBeUndefined();
  expect(running.numBytes).toBeGreaterThan(2_400);
  expect(() => running.check(0)).not.toThrow();
  for (let count = 0; count < 20; count++) running.write([event]);
  expect(running.numBytes).toBeLessThanOrEqual(3_000);
  expect(() => running.check(0)).toThrow(expect.objectContaining({ code: 'not_found' }));
  const large = { kind: 'data', payload: { text: 'x'.repeat(4_000) } } as const;
  running.write([large]);
  expect(running.numBytes).toBe(0);
  expect(store.find('running', 'other')).toBeUndefined();
});
