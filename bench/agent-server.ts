/** A server that agents share, and conversations with it: every text is held against what the same messages got before. */
import { type Answer, ask, startServer, type Target } from './http-target.ts';
import type { KvFolder } from './kv-folder.ts';
import type { PromptText } from './prompt-text.ts';
import { foundByTier, type Tier } from './request-tier.ts';

export interface AgentWork {
  readonly modelPath: string;
  readonly kvFormat: string;
  /** Also the pool's size, in tokens. */
  readonly contextLength: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly turns: number;
  readonly sessionCounts: readonly number[];
  readonly textOf: PromptText;
}

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** An answer with where its prompt's KV came from. */
export interface Turn extends Answer {
  readonly found: Readonly<Record<Tier, number>>;
}

const WARM_UP_SEED = 2000;
const NO_TIERS = ['--kv-ram', '0', '--kv-disk', '0'];

export class Agents {
  readonly work: AgentWork;
  /** By messages. */
  readonly #texts = new Map<string, string>();
  #served: Target | undefined;
  #numStarts = 0;

  constructor(work: AgentWork) {
    this.work = work;
  }

  /** The last server that ran. */
  get served(): Pick<Target, 'adapter' | 'model'> {
    if (this.#served === undefined) throw new Error('no server has run');
    return this.#served;
  }

  /** Runs `use` on a server of its own, with a cache in this folder, or with none below the pool. */
  async serve<Result>(folder: KvFolder | 'no tiers', use: (target: Target) => Promise<Result>): Promise<Result> {
    const { modelPath, kvFormat, contextLength } = this.work;
    const target = await startServer([
      ...['--model', modelPath, '--kv-format', kvFormat, '--context', String(contextLength), '--kv-memory', '1MiB'],
      ...(folder === 'no tiers' ? NO_TIERS : folder.tierFlags),
    ]);
    this.#served = target;
    try {
      // Always computed: no server of a trace has seen it.
      await ask(target, { messages: this.opening(WARM_UP_SEED + this.#numStarts++) }, this.work.maxTokens);
      return await use(target);
    } finally {
      await target.close();
    }
  }

  /** One answer under a session's name. @throws Error when the same messages were answered otherwise before */
  async turn(target: Target, session: string, messages: readonly Message[]): Promise<Turn> {
    const answer = await ask(target, { messages }, this.work.maxTokens, { 'x-session-id': session });
    const key = JSON.stringify(messages);
    const before = this.#texts.get(key) ?? answer.text;
    this.#texts.set(key, before);
    if (before !== answer.text) throw new Error(`${session} was answered\n${answer.text}\nand before\n${before}`);
    return { ...answer, found: await foundByTier(target, answer) };
  }

  /** The first message of a conversation; no two seeds share one. */
  opening(seed: number, numTokens = this.work.promptTokens): Message[] {
    return [{ role: 'user', content: this.work.textOf(numTokens, seed) }];
  }
}
