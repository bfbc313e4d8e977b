/** Several agents in one conversation, over HTTP: who hears what, what switching between them costs, who may look. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Engine, GenerationRequest } from '../../src/runtime/api.ts';
import { parseSse, post, type Script, type Served, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const SCRIPT: Script = {
  contextLength: 16_384,
  replies: [
    // The script's engine serves both transports, and each asks once.
    { when: 'Vote on this question: Tea over uws', times: 2, tokens: ['Yes'] },
    { when: 'Vote on this question: Tea over node-http', times: 2, tokens: ['Yes'] },
    { when: 'Vote on this question: Tea', tokens: ['I', ' think', ' yes'] },
    { when: 'Vote on this question: Alone', tokens: ['2'] },
    { when: 'Whisper to', tokens: ['psst'] },
    { tokens: ['one', ' two', ' three'] },
  ],
};

const ALICE = { agent_id: 'alice', display_name: 'Alice', system_prompt: 'You like tea.' };
const BOB = { agent_id: 'bob', display_name: 'Bob', role: 'critic' };
const CAROL = { agent_id: 'carol', display_name: 'Carol' };

interface MessageAnswer {
  readonly sender_id: string;
  readonly content: string;
  readonly turn_number: number;
  readonly channel_type: string;
  readonly is_interrupted: boolean;
  readonly usage?: UsageAnswer;
}

interface UsageAnswer {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

interface Answer {
  readonly message: MessageAnswer;
  readonly messages: readonly MessageAnswer[];
  readonly usage: UsageAnswer;
  readonly session_status: {
    readonly current_turn: number;
    readonly is_active: boolean;
    readonly next_speaker: string | null;
  };
  readonly error: { readonly code: string; readonly param: string | null; readonly message: string };
}

interface Coordinated extends Served {
  readonly session: string;
  call(path: string, body?: unknown, headers?: Record<string, string>): Promise<{ status: number; body: Answer }>;
  read(path: string): Promise<Answer & Record<string, unknown>>;
}

const create = async (more: object = {}, options: ServeOptions = {}, script = SCRIPT): Promise<Coordinated> => {
  const served = await serve(script, options);
  const root = `${served.url}/v1/coordination/sessions`;
  const { status, body } = await post(root, { agents: [ALICE, BOB, CAROL], initial_prompt: 'Begin.', ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  const session = `${root}/${(body as { session_id: string }).session_id}`;
  return {
    ...served,
    session,
    call: async (path, sent = '', headers = {}) => {
      const answer = await post(session + path, sent, headers);
      return { status: answer.status, body: answer.body as Answer };
    },
    read: async (path) => (await fetch(session + path)).json() as Promise<Answer & Record<string, unknown>>,
  };
};

/** The requests that the engine gets from now on. */
const watch = (engine: Engine): GenerationRequest[] => {
  const requests: GenerationRequest[] = [];
  const generate = engine.generate.bind(engine);
  const spy = vi.spyOn(engine, 'generate').mockImplementation((request, signal) => {
    requests.push(request);
    return generate(request, signal);
  });
  onTestFinished(() => spy.mockRestore());
  return requests;
};

const lastText = (request: GenerationRequest | undefined): string =>
  request?.prompt.kind === 'chat' ? String(request.prompt.messages.at(-1)?.content) : '';

const streamed = async (url: string, body: unknown = ''): Promise<readonly (readonly [string, unknown])[]> =>
  parseSse(await (await fetch(url, { method: 'POST', body: body === '' ? null : JSON.stringify(body) })).text());

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('agents speak in turn, hear each other, and see their own words as their own', async () => {
    const { call, engine, read } = await create({ max_turns: 5 }, { transport });
    const requests = watch(engine);
    const first = await call('/turn');
    expect(first.body.message).toMatchObject({ sender_id: 'alice', content: 'one two three', turn_number: 0 });
    expect(first.body.session_status).toMatchObject({ current_turn: 1, is_active: true, next_speaker: 'bob' });
    const { body } = await call('/round');
    expect(body.messages.map((message) => message.sender_id)).toEqual(['bob', 'carol', 'alice']);
    expect(requests.map(lastText)).toEqual([
      'Begin.',
      'Begin.\n\nAlice: one two three',
      'Begin.\n\nAlice: one two three\n\nBob: one two three',
      'Bob: one two three\n\nCarol: one two three',
    ]);
    const prompt = requests[3]?.prompt;
    expect(prompt?.kind === 'chat' && prompt.messages.map(({ role }) => role)).toEqual([
      'system',
      'user',
      'assistant',
      'user',
    ]);
    expect(prompt?.kind === 'chat' && prompt.messages[0]?.content).toMatch(/^You like tea\.\n\nYou are Alice/);
    // max_turns leaves one turn of the next round.
    expect((await call('/round')).body.messages).toHaveLength(1);
    const late = await call('/turn');
    expect([late.status, late.body.error.code]).toEqual([409, 'conflict']);
    expect(await read('')).toMatchObject({
      current_turn: 5,
      is_active: false,
      status: 'completed',
      next_speaker: null,
    });
    const { messages } = await read('/messages');
    expect(messages.map(({ sender_id: id }) => id)).toEqual(['system', 'alice', 'bob', 'carol', 'alice', 'bob']);
  });

  test('an agent that speaks again finds the KV of its last prompt, whoever spoke in between', async () => {
    const { call, engine } = await create({}, { transport });
    const requests = watch(engine);
    const promptTokens = new Map<string, number>();
    for (let turn = 0; turn < 9; turn++) {
      const { message } = (await call('/turn')).body;
      const usage = message.usage as UsageAnswer;
      const before = promptTokens.get(message.sender_id);
      // Whole blocks of 16 tokens at least.
      if (before !== undefined) expect(usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(before - 16);
      promptTokens.set(message.sender_id, usage.prompt_tokens);
      if (turn === 4) await call('/vote', { question: 'Lunch?', options: ['Yes', 'No'], agent_ids: ['alice'] });
      if (turn === 5) await call('/whisper', { from_agent_id: 'bob', to_agent_id: 'alice' });
    }
    expect(promptTokens.size).toBe(3);
    const sessions = new Set(requests.map(({ cache }) => cache?.session));
    expect(sessions.size).toBe(3);
    expect([...sessions].every((name) => /^coord_\w+:(alice|bob|carol)$/.test(name ?? ''))).toBe(true);
  });

  test('a streamed turn tells its start, its text and its end with usage', async () => {
    const { session, call } = await create({}, { transport });
    const events = await streamed(`${session}/turn/stream`);
    expect(events.map(([name]) => name)).toEqual([
      'turn_start',
      'token',
      'token',
      'token',
      'turn_complete',
      'turn_end',
    ]);
    expect(events[0]?.[1]).toMatchObject({ agent_id: 'alice', agent_name: 'Alice', turn: 1 });
    expect(events[2]?.[1]).toMatchObject({ text: ' two', accumulated: 'one two' });
    expect(events[4]?.[1]).toMatchObject({ content: 'one two three', turn: 1, message: { turn_number: 0 } });
    const { usage } = events.at(-1)![1] as Answer;
    expect(usage.completion_tokens).toBe(3);
    expect(usage.total_tokens).toBe(usage.prompt_tokens + 3);
    const round = await streamed(`${session}/round`, { stream: true });
    expect(
      round.filter(([name]) => name === 'turn_complete').map(([, data]) => Reflect.get(data as object, 'agent_id')),
    ).toEqual(['bob', 'carol', 'alice']);
    expect(round.at(-1)).toMatchObject(['round_complete', { status: 'complete', session_status: { current_turn: 4 } }]);
    const sum = round
      .filter(([name]) => name === 'turn_complete')
      .reduce((total, [, data]) => total + ((data as Answer).message.usage?.prompt_tokens ?? 0), 0);
    expect((round.at(-1)![1] as Answer).usage.prompt_tokens).toBe(sum);
    expect((await call('/turn', { agent_id: 'nobody' })).body.error).toMatchObject({ param: 'agent_id' });
  });

  test('in a broadcast nobody hears the others before all have spoken', async () => {
    const { call, engine } = await create({ topology: 'broadcast' }, { transport });
    const requests = watch(engine);
    await call('/turn');
    const { messages } = (await call('/round')).body;
    expect(messages.map((message) => message.sender_id)).toEqual(['bob', 'carol']);
    expect(requests.map(lastText)).toEqual(['Begin.', 'Begin.', 'Begin.']);
    await call('/round');
    expect(requests.slice(3).map(lastText).sort()).toEqual([
      'Alice: one two three\n\nBob: one two three',
      'Alice: one two three\n\nCarol: one two three',
      'Bob: one two three\n\nCarol: one two three',
    ]);
  });

  test('a whisper is heard by one alone, whoever made up its words', async () => {
    const { call, engine, read } = await create({}, { transport });
    const requests = watch(engine);
    const given = await call('/whisper', { from_agent_id: 'alice', to_agent_id: 'carol', content: 'I know.' });
    expect(given.body.message).toMatchObject({ content: 'I know.', channel_type: 'whisper', to_agent_id: 'carol' });
    const made = await call('/whisper', { from_agent_id: 'bob', to_agent_id: 'carol' });
    expect(made.body.message.content).toBe('psst');
    await call('/round');
    expect(requests.slice(1).map(lastText)).toEqual([
      'Begin.\n\nYou whispered to Carol: I know.',
      'Alice: one two three',
      'Begin.\n\nAlice (whispers to you): I know.\n\nBob (whispers to you): psst\n\nAlice: one two three\n\nBob: one two three',
    ]);
    expect((await read('/messages')).messages).toHaveLength(4);
    expect((await read('/messages?channel=whisper')).messages).toHaveLength(2);
    expect((await read('/messages?channel=loud')).error.param).toBe('channel');
  });

  test('votes are asked for, read strictly and counted', async () => {
    const { call, engine, session, read } = await create({}, { transport, engine: { maxRunning: 1 } });
    const requests = watch(engine);
    const tea = `Tea over ${transport}?`;
    const { status, body } = await call('/vote', { question: tea, options: ['Yes', 'No'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      total_votes: 2,
      abstentions: 1,
      results: { Yes: 2, No: 0 },
      winner: 'Yes',
      tied: false,
    });
    const ballots = Reflect.get(body, 'ballots') as readonly { choice: string | null }[];
    expect(ballots.filter(({ choice }) => choice === null)).toMatchObject([
      { abstention: 'invalid', answer: 'I think yes' },
    ]);
    expect(requests.every(({ sampling }) => sampling.temperature === 0)).toBe(true);
    // A ballot that the caller casts takes the place of the agent's own.
    const cast = await call('/vote', { question: tea, agent_id: 'alice', choice: 'no' });
    expect(cast.body).toMatchObject({ agent_id: 'alice', choice: 'No', tally: { results: { No: 1 } } });
    expect((await call('/vote', { question: tea, agent_id: 'bob', choice: 'Maybe' })).body.error.param).toBe('choice');
    expect((await call('/vote', { question: tea })).body.error.param).toBe('options');
    expect((await call('/vote', { question: 'x', options: ['A', 'a.'] })).body.error.param).toBe('options[1]');
    expect((await read('')).votes).toMatchObject([{ question: tea }]);
    const alone = await call('/vote', { question: 'Alone?', options: ['Yes', 'No'], agent_ids: ['bob'] });
    expect(alone.body).toMatchObject({
      total_votes: 1,
      results: { No: 1 },
      ballots: [{ agent_id: 'bob', choice: 'No' }],
    });
    const events = await streamed(`${session}/vote/stream`, { question: 'Lunch?', options: ['Yes', 'No'] });
    expect(events.map(([name]) => name)).toEqual(['ballot', 'ballot', 'ballot', 'vote_complete']);
    expect(events.at(-1)?.[1]).toMatchObject({ total_votes: 0, abstentions: 3, winner: null });
    // Nobody but the voter has heard of it.
    const { messages } = (await call('/round')).body;
    expect(messages).toHaveLength(3);
    expect(lastText(requests.at(-1))).toBe('Alice: one two three\n\nBob: one two three');
  });

  test('a second turn is refused while one runs, and the first goes on', async () => {
    const gate = new TokenGate();
    const { call, engine } = await create({}, { transport, beforeToken: gate.beforeToken });
    const first = call('/turn');
    await until(() => engine.stats().running === 1);
    for (const [path, body] of [
      ['/turn', {}],
      ['/turn', { agent_id: 'carol' }],
      ['/round', {}],
      ['/messages', { content: 'hello' }],
      ['/vote', { question: 'q', options: ['a', 'b'] }],
    ] as const) {
      const refused = await call(path, body);
      expect([refused.status, refused.body.error.code], path).toEqual([409, 'conflict']);
    }
    gate.open();
    expect((await first).body.message.content).toBe('one two three');
    expect((await call('/messages', { content: 'hello', sender_name: 'Host' })).status).toBe(200);
  });

  test('an interrupting agent cuts the speaker short, whose words so far stand', async () => {
    const gate = new TokenGate();
    const {
      call,
      session,
      read: get,
    } = await create({ topology: 'interrupt' }, { transport, beforeToken: gate.beforeToken });
    gate.allow(2);
    const { body } = await fetch(`${session}/turn/stream`, { method: 'POST' });
    const reader = (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const read = async (): Promise<boolean> => {
      const { done, value } = await reader.read();
      text += value ?? '';
      return !done;
    };
    while (!text.includes(' two')) await read();
    const interrupting = call('/turn', { agent_id: 'carol' });
    // Only the interruption ends this turn: its third token is held back.
    while (!text.includes('turn_complete')) await read();
    gate.open();
    expect((await interrupting).body.message).toMatchObject({ sender_id: 'carol', is_interrupted: false });
    while (await read());
    const cut = parseSse(text).find(([name]) => name === 'turn_complete')?.[1] as Answer;
    expect(cut.message).toMatchObject({ sender_id: 'alice', is_interrupted: true });
    expect(cut.message.content).toBe('one two');
    expect(await get('')).toMatchObject({ current_turn: 2, next_speaker: 'alice' });
  });

  test('a client that leaves ends its turn within a step, and nothing of it is recorded', async () => {
    const gate = new TokenGate();
    const { engine, session, read, log, call } = await create({}, { transport, beforeToken: gate.beforeToken });
    const numBefore = engine.stats().completionTokens;
    gate.allow(1);
    const leaving = new AbortController();
    const answer = await fetch(`${session}/round/stream`, { method: 'POST', signal: leaving.signal });
    expect(answer.status).toBe(200);
    leaving.abort();
    await until(() => log.some(({ status }) => status === 499));
    gate.open();
    await until(() => engine.stats().running === 0);
    expect(engine.stats().completionTokens - numBefore).toBeLessThan(3);
    expect(await read('')).toMatchObject({ current_turn: 0, next_speaker: 'alice' });
    expect((await call('/turn')).body.message.sender_id).toBe('alice');
  });

  test('deleting a session ends what runs in it', async () => {
    const gate = new TokenGate();
    const { engine, session, call } = await create({}, { transport, beforeToken: gate.beforeToken });
    const running = call('/turn');
    await until(() => engine.stats().running === 1);
    const deleting = fetch(session, { method: 'DELETE' });
    gate.open();
    expect((await deleting).status).toBe(204);
    const { status, body } = await running;
    expect([status, body.error.code]).toEqual([404, 'session_not_found']);
    expect((await fetch(session)).status).toBe(404);
    await until(() => engine.stats().running === 0);
    const id = session.split('/').at(-1) ?? '';
    const kept = await engine.sessions.list('', { limit: 1000 });
    expect(kept.filter((each) => each.id.startsWith(id))).toEqual([]);
  });

  test('who reads along gets each message as it is said, until the session is deleted', async () => {
    const { session, call } = await create({}, { transport });
    const following = await fetch(`${session}/messages/stream`);
    expect(following.headers.get('content-type')).toMatch('text/event-stream');
    await call('/turn');
    await call('/messages', { content: 'Go on.' });
    await fetch(session, { method: 'DELETE' });
    const events = parseSse(await following.text());
    expect(events.map(([name, data]) => [name, (data as { content?: string }).content])).toEqual([
      ['message', 'Begin.'],
      ['message', 'one two three'],
      ['message', 'Go on.'],
      ['end', undefined],
    ]);
  });
});

test('only the owner sees a session', async () => {
  const { url } = await serve(SCRIPT, { apiKeys: ['one', 'two'] });
  const root = `${url}/v1/coordination/sessions`;
  const mine = { authorization: 'Bearer one' };
  const theirs = { 'x-api-key': 'two' };
  const created = await post(root, { agents: [ALICE] }, mine);
  const id = (created.body as { session_id: string }).session_id;
  const list = async (headers: Record<string, string>) =>
    ((await (await fetch(root, { headers })).json()) as { sessions: readonly { session_id: string }[] }).sessions;
  expect((await list(mine)).map((session) => session.session_id)).toEqual([id]);
  expect(await list(theirs)).toEqual([]);
  expect((await fetch(`${root}/${id}`, { headers: theirs })).status).toBe(404);
  expect((await fetch(`${root}/${id}`, { method: 'DELETE', headers: theirs })).status).toBe(404);
  expect((await post(`${root}/${id}/turn`, {}, theirs)).status).toBe(404);
  expect((await fetch(`${root}/${id}`)).status).toBe(401);
  expect((await post(`${root}/${id}/turn`, {}, mine)).status).toBe(200);
});

test('thirty agents broadcast at once; the thirty-first is refused', async () => {
  const agents = Array.from({ length: 30 }, (_, index) => ({ display_name: `Agent ${index}` }));
  const { call, url } = await create({ agents, topology: 'broadcast' });
  const { messages, usage } = (await call('/round')).body;
  expect(messages).toHaveLength(30);
  expect(usage.completion_tokens).toBe(30 * 3);
  const refused = await post(`${url}/v1/coordination/sessions`, { agents: [...agents, ALICE] });
  expect([refused.status, (refused.body as Answer).error.param]).toEqual([400, 'agents']);
});

test.each([
  [{ agents: [] }, 400, 'agents'],
  [{ agents: [ALICE, { ...BOB, display_name: 'Alice' }] }, 400, 'agents[1].display_name'],
  [{ agents: [ALICE, { ...BOB, agent_id: 'alice' }] }, 400, 'agents[1].agent_id'],
  [{ agents: [{ display_name: 'two\nlines' }] }, 400, 'agents[0].display_name'],
  [{ agents: [ALICE], topology: 'star' }, 400, 'topology'],
  [{ agents: [ALICE], topology: 'whisper' }, 400, 'agents'],
  [{ agents: [ALICE, { ...BOB, model: 'gpt-4' }] }, 404, 'agents[1].model'],
  [{ agents: [ALICE], model: 'gpt-4' }, 404, 'model'],
  [{ agents: [ALICE], decision_mode: 'coordinator_decides' }, 400, 'decision_mode'],
  [{ agents: [ALICE], per_agent_prompts: { Zoe: 'x' } }, 400, 'per_agent_prompts.Zoe'],
  [{ agents: [ALICE], max_turns: 1001 }, 400, 'max_turns'],
])('refuses to create %j', async (body, status, param) => {
  const { url } = await serve(SCRIPT);
  const answer = await post(`${url}/v1/coordination/sessions`, body);
  const { error } = answer.body as Answer;
  expect([answer.status, error.param]).toEqual([status, param]);
  if (status === 404) expect(error.code).toBe('model_not_found');
});

test('a session that is not used expires, and a permanent agent keeps the name of its KV', async () => {
  const { session, engine, call } = await create({
    ttl_seconds: 1,
    persistent_cache_prefix: 'game',
    agents: [{ ...ALICE, lifecycle: 'permanent', model: 'scripted' }, BOB],
  });
  const requests = watch(engine);
  await call('/round');
  expect(requests[0]?.cache?.session).toBe('agent:game:Alice');
  expect(requests[1]?.cache?.session).toMatch(/^coord_\w+:bob$/);
  const names = async () => (await engine.sessions.list('', { limit: 100 })).map(({ id }) => id);
  expect(await names()).toEqual(expect.arrayContaining(['agent:game:Alice', requests[1]?.cache?.session]));
  const forget = (prefix: string) => fetch(new URL(`/v1/coordination/caches/${prefix}`, session), { method: 'DELETE' });
  await forget('gam');
  expect(await names()).toContain('agent:game:Alice');
  expect((await forget('game')).status).toBe(204);
  expect(await names()).not.toContain('agent:game:Alice');
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 60_000);
  onTestFinished(() => clock.mockRestore());
  expect((await fetch(session)).status).toBe(404);
});
