/** Servers killed at random moments while sessions save and restore: nothing that was reported as saved is ever missed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { greetingOf, type RunningServer, scriptedModel, spawnServer, temporaryFolder } from '../support/firstlight.ts';

const NUM_ROUNDS = Number(process.env.FIRSTLIGHT_KILL_ROUNDS ?? 5);
const LONGEST_MS = 600;
/** Reports of sessions before a kill. */
const MOST_CLAIMS = 16;
const ROUND_MS = 30_000;
const NUM_SESSIONS = 4;
/** A conversation that has come so far begins anew: the context is as long. */
const MAX_TURNS = 20;
const CONTEXT = 2048;

/**
 * A scripted model finds what it answers by reading its KV back, and here the answer follows from a prompt's first words.
 * After a restart, and after an eviction, that is what came from disk.
 */
const SCRIPT = {
  contextLength: CONTEXT,
  replies: Array.from({ length: NUM_SESSIONS }, (_, session) => ({
    when: `^code word ${session};`,
    tokens: ['it is ', `number ${session}`],
  })),
};
const KV_FLAGS = ['--kv-memory', '1MiB', '--kv-ram', '0', '--kv-disk', '256MiB'];

const promptOf = (session: number, turn: number): string => {
  const text = Array.from({ length: 30 + 8 * turn }, (_, i) => `${session}:${(i * 7919) % 997} `).join('');
  return `code word ${session}; ${text}`;
};

/** What a server said of a session, and what had been asked of it. */
interface Claim {
  readonly prompt: string;
  readonly savedTokens: number;
}

interface SessionBody {
  readonly tokens: number;
  readonly savedTokens: number;
}

/** @returns prompt tokens that the cache had @throws when the server is gone */
const ask = async (url: string, session: number, prompt: string): Promise<number> => {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-id': `s${session}` },
    body: JSON.stringify({ model: 'scripted', prompt, max_tokens: 8 }),
  });
  const body = (await response.json()) as {
    choices: [{ text: string }];
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  expect(response.status, JSON.stringify(body)).toBe(200);
  expect(body.choices[0].text).toBe(`it is number ${session}`);
  return body.usage.prompt_tokens_details.cached_tokens;
};

const sessionOf = async (url: string, session: number): Promise<SessionBody> =>
  (await (await fetch(`${url}/v1/sessions/s${session}`)).json()) as SessionBody;

class Conversations {
  readonly #claims = new Map<number, Claim>();
  readonly #turns = new Map<number, number>();
  numChecked = 0;
  /** Called when a server has reported what is saved of a session. */
  onClaim: () => void = () => {};

  /** Goes on with a session until the server is gone. */
  async run({ url }: RunningServer, session: number, isAlive: () => boolean): Promise<void> {
    while (isAlive()) {
      try {
        const turn = ((this.#turns.get(session) ?? 0) + 1) % MAX_TURNS;
        this.#turns.set(session, turn);
        // A shorter prompt takes the longer one's place in its session.
        if (turn === 0) this.#claims.delete(session);
        const prompt = promptOf(session, turn);
        await ask(url, session, prompt);
        const chance = Math.random();
        if (chance < 0.3) await fetch(`${url}/v1/sessions/s${session}/save`, { method: 'POST' });
        else if (chance < 0.6) await fetch(`${url}/v1/sessions/s${session}?evict_only=true`, { method: 'DELETE' });
        else if (chance < 0.8) await sleep(Math.random() * 300);
        // Else at once: hardly anything is saved yet, and nothing else may be said.
        const { savedTokens } = await sessionOf(url, session);
        this.#claims.set(session, { prompt, savedTokens });
        this.onClaim();
      } catch (error) {
        // What a killed server's connections say.
        if (isAlive() || !(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      }
    }
  }

  async check({ url }: RunningServer): Promise<void> {
    for (const [session, { prompt, savedTokens }] of this.#claims) {
      const now = await sessionOf(url, session);
      // A later turn, which was under way, shares whole blocks of the prompt at least.
      const known = Math.min(savedTokens, prompt.length);
      expect(now.savedTokens, `session ${session}`).toBeGreaterThanOrEqual(known - (known % 16));
      const cached = await ask(url, session, prompt);
      expect(cached, `session ${session}`).toBeGreaterThanOrEqual(Math.min(savedTokens, prompt.length - 1));
      this.numChecked += known;
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^firstlight_kv_tier_corrupt_total\{tier="disk"\} 0$/m);
    expect(metrics).toMatch(/^firstlight_session_failures_total 0$/m);
  }
}

test(
  'a server killed at any moment has every token after the restart that it reported as saved, and answers rightly',
  async () => {
    const directory = temporaryFolder();
    const flags = ['--model', scriptedModel(SCRIPT), '--kv-directory', directory, ...KV_FLAGS];
    const conversations = new Conversations();
    for (let round = 0; round < NUM_ROUNDS; round++) {
      const child = spawnServer(flags);
      let isAlive = true;
      try {
        const server = await greetingOf(child);
        await conversations.check(server);
        let numClaims = Math.ceil(Math.random() * MOST_CLAIMS);
        const hasClaimed = new Promise<void>((resolve) => {
          conversations.onClaim = () => {
            if (--numClaims === 0) resolve();
          };
        });
        // Right after a claim is when it is most likely to be wrong.
        const waitMs = Math.random() < 0.5 ? 0 : Math.random() * LONGEST_MS;
        const running = Promise.all(
          Array.from({ length: NUM_SESSIONS }, (_, session) => conversations.run(server, session, () => isAlive)),
        );
        await Promise.race([hasClaimed.then(() => sleep(waitMs)), running]);
        isAlive = false;
        child.kill('SIGKILL');
        await Promise.all([running, server.finished]);
      } finally {
        child.kill('SIGKILL');
      }
    }
    expect(conversations.numChecked).toBeGreaterThan(0);
  },
  NUM_ROUNDS * ROUND_MS,
);
