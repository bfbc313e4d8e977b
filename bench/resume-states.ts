/** One model and prompt length through every state of the cache: nowhere, pool, host memory, disk after a restart. */
import { percentile } from '../src/cli/measure-model.ts';
import { type Answer, ask, metric, readMetrics, startServer, type Target } from './http-target.ts';
import { type KvFolder, withKvFolder } from './kv-folder.ts';
import { promptTexts } from './prompt-text.ts';
import { checkTier, type Tier } from './request-tier.ts';

const MAX_TOKENS = 8;
const CONTEXT_MARGIN = 64;
const BLOCK_SIZE = 16;
/** As many as a step takes: what runs slower the first time has run. */
const WARM_UP_TOKENS = 512;
const FIRST_WARM_UP_SEED = 2000;
const FIRST_FILLER_SEED = 1000;
/** A pool of fewer prompts than this has hardly anything left of one after another has come. */
const HOLDS_ONE = 1.2;

export interface ResumeWork {
  readonly modelPath: string;
  readonly kvFormat: string;
  readonly numTokens: number;
  readonly prompts: readonly string[];
  /** Visits of each prompt in host memory and pool. */
  readonly rounds: number;
  readonly restarts: number;
}

/** Times to first token in one state. */
export interface State {
  readonly ms: number;
  readonly count: number;
  /** The least of them. */
  readonly cachedTokens: number;
}

export interface Resume {
  readonly adapter: string;
  readonly promptTokens: readonly number[];
  readonly cold: State;
  readonly hot: State;
  readonly pool: State;
  readonly warm: State;
  /** Warm, with nothing of the folder in the page cache; absent where the system cannot do that. */
  readonly dropped?: State;
  /** Files' bytes on disk. */
  readonly bytesPerPrompt: number;
  readonly cachedReadMibPerSecond: number;
  readonly droppedReadMibPerSecond?: number;
  readonly startMs: number;
  readonly restartMs: number;
  /** While the cold prompts were computed, and while the warm ones came from disk. */
  readonly saving: Traffic;
  readonly restoring: Traffic;
}

/** Blocks between pool and tiers, and the milliseconds that they took of the engine's loop. */
export interface Traffic {
  readonly blocks: number;
  readonly loopMs: number;
}

const stateOf = (answers: readonly Answer[]): State => ({
  ms: percentile(
    answers.map(({ ttftMs }) => ttftMs),
    0.5,
  ),
  count: answers.length,
  cachedTokens: Math.min(...answers.map(({ cachedTokens }) => cachedTokens)),
});

type Direction = 'saved' | 'restored';

const trafficOf = async (target: Target, direction: Direction): Promise<Traffic> => {
  const metrics = await readMetrics(target);
  return {
    blocks: metric(metrics, `firstlight_kv_blocks_${direction}_total`),
    loopMs: 1000 * metric(metrics, 'firstlight_kv_traffic_seconds_total'),
  };
};

const trafficSince = async (target: Target, direction: Direction, before: Traffic): Promise<Traffic> => {
  const now = await trafficOf(target, direction);
  return { blocks: now.blocks - before.blocks, loopMs: now.loopMs - before.loopMs };
};

class ResumeRun {
  readonly folder: KvFolder;
  readonly #work: ResumeWork;
  /** By prompt: what it was answered when nothing was cached. */
  readonly #texts = new Map<string, string>();
  #numStarts = 0;

  constructor(work: ResumeWork, folder: KvFolder) {
    this.folder = folder;
    this.#work = work;
  }

  async start(): Promise<Target> {
    const { modelPath, kvFormat, numTokens } = this.#work;
    const context = String(numTokens + CONTEXT_MARGIN);
    const target = await startServer([
      ...['--model', modelPath, '--kv-format', kvFormat, '--context', context],
      // Less than one context: the pool then holds exactly one.
      ...['--kv-memory', '1MiB', ...this.folder.tierFlags],
    ]);
    // Never the same one: it is always computed, and the first restore that a clock sees is the server's first.
    const textOf = await promptTexts(modelPath);
    const warmUp = textOf(Math.min(WARM_UP_TOKENS, numTokens), FIRST_WARM_UP_SEED + this.#numStarts++);
    await ask(target, { prompt: warmUp }, MAX_TOKENS);
    await this.folder.settled();
    return target;
  }

  /** @throws Error when the tokens do not come from `tier`, or the text is not the first one's */
  async visit(target: Target, prompt: string, tier: Tier | 'nowhere'): Promise<Answer> {
    const answer = await ask(target, { prompt }, MAX_TOKENS);
    const { cachedTokens, promptTokens, text } = answer;
    const isAsExpected = tier === 'nowhere' ? cachedTokens < BLOCK_SIZE : cachedTokens >= promptTokens - BLOCK_SIZE;
    if (!isAsExpected) throw new Error(`${cachedTokens} of ${promptTokens} tokens were cached, expected: ${tier}`);
    if (tier !== 'nowhere') await checkTier(target, answer, tier);
    const first = this.#texts.get(prompt) ?? text;
    this.#texts.set(prompt, first);
    if (text !== first) throw new Error(`from ${tier} came\n${text}\ninstead of\n${first}`);
    return answer;
  }

  async visitAll(target: Target, tier: Tier | 'nowhere'): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (const prompt of this.#work.prompts) answers.push(await this.visit(target, prompt, tier));
    return answers;
  }
}

/** Prompts that drive all others out of a pool that holds several; none where it holds one. */
const fillersFor = async (target: Target, { modelPath, numTokens }: ResumeWork): Promise<string[]> => {
  const poolTokens = metric(await readMetrics(target), 'firstlight_kv_blocks_total') * BLOCK_SIZE;
  const count = poolTokens < HOLDS_ONE * numTokens ? 0 : Math.ceil(poolTokens / numTokens) + 1;
  const textOf = await promptTexts(modelPath);
  return Array.from({ length: count }, (_, index) => textOf(numTokens, FIRST_FILLER_SEED + index));
};

/** Every prompt cold, then from host memory and pool in turns, in one server. */
const firstServer = async (run: ResumeRun, work: ResumeWork) => {
  const target = await run.start();
  try {
    const bytesBefore = run.folder.bytes;
    const trafficBefore = await trafficOf(target, 'saved');
    const cold: Answer[] = [];
    for (const prompt of work.prompts) {
      cold.push(await run.visit(target, prompt, 'nowhere'));
      await run.folder.settled();
    }
    const bytesPerPrompt = (run.folder.bytes - bytesBefore) / work.prompts.length;
    const saving = await trafficSince(target, 'saved', trafficBefore);
    const fillers = await fillersFor(target, work);
    const [hot, pool]: [Answer[], Answer[]] = [[], []];
    for (let round = 0; round < work.rounds; round++) {
      for (const prompt of work.prompts) {
        for (const filler of fillers) await ask(target, { prompt: filler }, 1);
        await run.folder.settled();
        hot.push(await run.visit(target, prompt, 'ram'));
        pool.push(await run.visit(target, prompt, 'pool'));
      }
    }
    const { adapter, startMs } = target;
    return { adapter, startMs, cold, hot, pool, bytesPerPrompt, saving };
  } finally {
    await target.close();
  }
};

const restartedServer = async (run: ResumeRun) => {
  const target = await run.start();
  try {
    const before = await trafficOf(target, 'restored');
    const answers = await run.visitAll(target, 'disk');
    return { answers, startMs: target.startMs, restoring: await trafficSince(target, 'restored', before) };
  } finally {
    await target.close();
  }
};

const droppedVisits = async (run: ResumeRun): Promise<Answer[] | undefined> => {
  const target = await run.start();
  try {
    return run.folder.dropFromPageCache() ? await run.visitAll(target, 'disk') : undefined;
  } finally {
    await target.close();
  }
};

/** @throws Error when a state does not have the tokens it should, or a text differs */
export const measureResume = (work: ResumeWork): Promise<Resume> =>
  withKvFolder(async (folder) => {
    const run = new ResumeRun(work, folder);
    const { cold, hot, pool, ...first } = await firstServer(run, work);
    const restarts = [];
    for (let restart = 0; restart < work.restarts; restart++) restarts.push(await restartedServer(run));
    const cachedReadMibPerSecond = await folder.plainReadSpeed(first.bytesPerPrompt);
    const dropped = await droppedVisits(run);
    const isDropped = dropped !== undefined && folder.dropFromPageCache();
    return {
      ...first,
      promptTokens: cold.map(({ promptTokens }) => promptTokens),
      cold: stateOf(cold),
      hot: stateOf(hot),
      pool: stateOf(pool),
      warm: stateOf(restarts.flatMap(({ answers }) => answers)),
      ...(dropped ? { dropped: stateOf(dropped) } : {}),
      cachedReadMibPerSecond,
      ...(isDropped ? { droppedReadMibPerSecond: await folder.plainReadSpeed(first.bytesPerPrompt) } : {}),
      restartMs: percentile(
        restarts.map(({ startMs }) => startMs),
        0.5,
      ),
      restoring: restarts[0]!.restoring,
    };
  });
