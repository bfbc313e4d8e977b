/** What agents do to a server's cache, and the figures that tell how well it bears that. */
import { percentile } from '../src/cli/measure-model.ts';
import type { Agents, Message, Turn } from './agent-server.ts';
import { metric, readMetrics, type Target } from './http-target.ts';
import { withKvFolder } from './kv-folder.ts';

const NUM_AGENTS = 10;
const NUM_FORKS = 5;
const NUM_PAIRS = 3;
const SHORT_PROMPT_TOKENS = 200;
const FIRST_MEMORY_SEED = 500;
const NEW_WORDS = ['And then?', 'What did the bear say?', 'Who came next?', 'Where is the boat?', 'Tell me more.'];

/** The same for every turn and agent, so that a trace can be run again. */
const newWords = (index: number): string => NEW_WORDS[index % NEW_WORDS.length]!;

interface Phase {
  readonly turns: readonly Turn[];
  readonly seconds: number;
}

const timed = async (work: () => Promise<Turn[]>): Promise<Phase> => {
  const start = performance.now();
  const turns = await work();
  return { turns, seconds: (performance.now() - start) / 1000 };
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const median = (values: readonly number[]): number => percentile(values, 0.5);
const ttftOf = (turns: readonly Turn[]): string => `${median(turns.map(({ ttftMs }) => ttftMs)).toFixed(1)} ms`;
const speedOf = ({ turns, seconds }: Phase): number => sum(turns.map((turn) => turn.completionTokens)) / seconds;

/** `1960 of 2080 prompt tokens cached (pool 40, ram 1920)`. */
const cachedOf = (turns: readonly Turn[]): string => {
  const tiers = (['pool', 'ram', 'disk'] as const)
    .map((tier) => [tier, sum(turns.map(({ found }) => found[tier]))] as const)
    .filter(([, tokens]) => tokens > 0)
    .map(([tier, tokens]) => `${tier} ${tokens}`);
  const cached = sum(turns.map((turn) => turn.cachedTokens));
  const from = tiers.length === 0 ? '' : ` (${tiers.join(', ')})`;
  return `${cached} of ${sum(turns.map((turn) => turn.promptTokens))} prompt tokens cached${from}`;
};

/** Each pair at once: never seen, in host memory after the others drove it out, in the pool, on disk after a restart. */
export const twoAgentsTrace = (agents: Agents): Promise<string> =>
  withKvFolder(async (folder) => {
    const pairAtOnce = (target: Target, pair: number) =>
      timed(() =>
        Promise.all(
          [2 * pair, 2 * pair + 1].map((agent) => agents.turn(target, `agent ${agent}`, agents.opening(agent + 1))),
        ),
      );
    const pairs = async (visit: (pair: number) => Promise<Phase>): Promise<Phase[]> => {
      const phases: Phase[] = [];
      for (let pair = 0; pair < NUM_PAIRS; pair++) {
        phases.push(await visit(pair));
        await folder.settled();
      }
      return phases;
    };
    const inPool: Phase[] = [];
    const [cold, hot] = await agents.serve(folder, async (target) => [
      await pairs((pair) => pairAtOnce(target, pair)),
      await pairs(async (pair) => {
        const phase = await pairAtOnce(target, pair);
        inPool.push(await pairAtOnce(target, pair));
        return phase;
      }),
    ]);
    const warm = await agents.serve(folder, (target) => pairs((pair) => pairAtOnce(target, pair)));
    const figures = (state: string, phases: readonly Phase[]): string => {
      const turns = phases.flatMap((phase) => phase.turns);
      return `${state} ${median(phases.map(speedOf)).toFixed(1)} tok/s of both, TTFT ${ttftOf(turns)}, ${cachedOf(turns)}`;
    };
    return [
      `medians of ${NUM_PAIRS} pairs: ${figures('cold', cold!)}`,
      figures('warm (disk, new process)', warm),
      figures('hot (driven out of the pool)', hot!),
      figures('in pool', inPool),
    ].join('; ');
  });

/** Every agent's turn, one agent after another, round after round; each goes on with what it was answered. */
const roundRobin = async (agents: Agents, target: Target): Promise<Phase[]> => {
  const conversations: Message[][] = Array.from({ length: NUM_AGENTS }, (_, agent) => agents.opening(agent + 1));
  const rounds: Phase[] = [];
  for (let round = 0; round < agents.work.turns; round++) {
    rounds.push(
      await timed(async () => {
        const turns: Turn[] = [];
        for (const [agent, messages] of conversations.entries()) {
          const turn = await agents.turn(target, `agent ${agent}`, messages);
          turns.push(turn);
          messages.push({ role: 'assistant', content: turn.text }, { role: 'user', content: newWords(round + agent) });
        }
        return turns;
      }),
    );
  }
  return rounds;
};

/** @throws Error when the pool holds all contexts: then nothing is shown */
export const roundRobinTrace = async (agents: Agents): Promise<string> => {
  const { contextLength, promptTokens } = agents.work;
  if (NUM_AGENTS * promptTokens < 2 * contextLength) {
    throw new Error(`${NUM_AGENTS} prompts of ${promptTokens} tokens hardly exceed a pool of ${contextLength}`);
  }
  const tiered = await withKvFolder((folder) => agents.serve(folder, (target) => roundRobin(agents, target)));
  const plain = await agents.serve('no tiers', (target) => roundRobin(agents, target));
  const figures = (rounds: readonly Phase[]): string => {
    const [first, later] = [rounds[0]!, rounds.slice(1)];
    const laterTurns = later.flatMap(({ turns }) => turns);
    const seconds = sum(later.map((phase) => phase.seconds));
    return `first turns TTFT ${ttftOf(first.turns)}; later ones ${ttftOf(laterTurns)}, ${speedOf({ turns: laterTurns, seconds }).toFixed(1)} tok/s, ${cachedOf(laterTurns)}`;
  };
  return `a pool of ${contextLength} tokens, ${agents.work.turns} turns each; with tiers: ${figures(tiered)}; without: ${figures(plain)}`;
};

const fork = async ({ url }: Target, parent: string, id: string): Promise<void> => {
  const response = await fetch(`${url}/v1/sessions/${encodeURIComponent(parent)}/fork`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id }),
  });
  if (response.status !== 201) throw new Error(`status ${response.status}: ${await response.text()}`);
};

const blocksHeld = async (target: Target): Promise<number> => {
  const metrics = await readMetrics(target);
  return metric(metrics, 'firstlight_kv_blocks_used') + metric(metrics, 'firstlight_kv_blocks_cached');
};

interface Forked {
  readonly parent: Turn;
  readonly forks: Phase;
  /** Milliseconds to make all of them. */
  readonly forkMs: number;
  readonly newBlocks: number;
  readonly prompts: readonly (readonly Message[])[];
}

const parentWithForks = async (agents: Agents, target: Target): Promise<Forked> => {
  const opening = agents.opening(1);
  const parent = await agents.turn(target, 'parent', opening);
  const before = await blocksHeld(target);
  const names = Array.from({ length: NUM_FORKS }, (_, index) => `fork ${index}`);
  const start = performance.now();
  for (const name of names) await fork(target, 'parent', name);
  const forkMs = performance.now() - start;
  const prompts = names.map((_, index): Message[] => [
    ...opening,
    { role: 'assistant', content: parent.text },
    { role: 'user', content: newWords(index) },
  ]);
  const forks = await timed(() => Promise.all(names.map((name, index) => agents.turn(target, name, prompts[index]!))));
  return { parent, forks, forkMs, newBlocks: (await blocksHeld(target)) - before, prompts };
};

/** Afterwards the forks' prompts one at a time in a server without parent and tiers, which must answer the same. */
export const forkTrace = async (agents: Agents): Promise<string> => {
  const { parent, forks, forkMs, newBlocks, prompts } = await withKvFolder((folder) =>
    agents.serve(folder, (target) => parentWithForks(agents, target)),
  );
  const alone = await agents.serve('no tiers', async (target) => {
    const turns: Turn[] = [];
    for (const [index, messages] of prompts.entries())
      turns.push(await agents.turn(target, `alone ${index}`, messages));
    return turns;
  });
  return [
    `parent's prompt of ${parent.promptTokens} tokens: TTFT ${parent.ttftMs.toFixed(1)} ms, cold`,
    `${NUM_FORKS} forks made in ${forkMs.toFixed(1)} ms, then asked at once: TTFT ${ttftOf(forks.turns)}, ${speedOf(forks).toFixed(1)} tok/s of all, ${cachedOf(forks.turns)}`,
    `a fork's prompt in a server without its parent: TTFT ${alone[0]!.ttftMs.toFixed(1)} ms`,
    `${newBlocks} KV blocks more than the parent's for all forks together`,
  ].join('; ');
};

const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0);

export const memoryTrace = (agents: Agents): Promise<string> =>
  withKvFolder((folder) =>
    agents.serve(folder, async (target) => {
      const parts: string[] = [];
      let numSessions = 0;
      for (const count of agents.work.sessionCounts) {
        for (; numSessions < count; numSessions++) {
          const opening = agents.opening(FIRST_MEMORY_SEED + numSessions, SHORT_PROMPT_TOKENS);
          await agents.turn(target, `session ${numSessions}`, opening);
        }
        await folder.settled();
        const metrics = await readMetrics(target);
        const gpu = metric(metrics, 'firstlight_gpu_bytes');
        const resident = metric(metrics, 'process_resident_memory_bytes');
        const ram = metric(metrics, 'firstlight_kv_tier_bytes{tier="ram"}');
        parts.push(
          `${count}: GPU ${mib(gpu)} MiB, resident ${mib(resident)} MiB (${mib(ram)} MiB of KV in host memory), on disk ${mib(folder.bytes)} MiB`,
        );
      }
      return `sessions of ${SHORT_PROMPT_TOKENS} tokens; ${parts.join('; ')}`;
    }),
  );
