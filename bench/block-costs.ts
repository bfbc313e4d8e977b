/** What moving KV blocks between the pool and host memory costs, on the runner alone: time in all, and time taken from the loop. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/cli/measure-model.ts';
import type { KvFormat } from '../src/kernels/kv-format.ts';
import { loadModel } from '../src/runtime/load-model.ts';
import { runApart } from './llama-cpp.ts';

const TOKENS = 1024;
const ROUNDS = 12;
/** A turn that only waits is shorter, also on a software adapter, where the thread sleeps 0.2 ms between turns. */
const IDLE_TURN_MS = 0.35;

interface Cost {
  /** From the call until the bytes are where they should be. */
  readonly totalMs: number;
  /** Of these, the milliseconds that nothing else could run in the engine's thread. */
  readonly loopMs: number;
}

export interface BlockCosts {
  readonly blockBytes: number;
  readonly blockSize: number;
  /** Medians. */
  readonly saveBlock: Cost;
  readonly saveThousand: Cost;
  readonly loadBlock: Cost;
  readonly loadThousand: Cost;
}

/** Adds up the turns of the event loop that last longer than an idle one's. */
const timed = async (work: () => Promise<unknown>): Promise<Cost> => {
  let [isOver, loopMs, turn] = [false, 0, performance.now()];
  const endTurn = (): void => {
    const now = performance.now();
    if (now - turn > IDLE_TURN_MS) loopMs += now - turn;
    turn = now;
  };
  const tick = (): void => {
    endTurn();
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const start = performance.now();
  await work();
  isOver = true;
  endTurn();
  return { totalMs: performance.now() - start, loopMs };
};

const median = async (work: () => Promise<unknown>): Promise<Cost> => {
  await work();
  const costs: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) costs.push(await timed(work));
  const middle = (of: keyof Cost) =>
    percentile(
      costs.map((cost) => cost[of]),
      0.5,
    );
  return { totalMs: middle('totalMs'), loopMs: middle('loopMs') };
};

const measure = async (modelPath: string, kvFormat: KvFormat): Promise<BlockCosts> => {
  const { runner } = await loadModel(modelPath, { contextLength: TOKENS, kvFormat });
  const { blockBytes, blockSize } = runner.kv;
  const blocks = Array.from({ length: Math.min(TOKENS / blockSize, runner.kv.numBlocks) }, (_, block) => block);
  const read = async (wanted: readonly number[]): Promise<Uint8Array[]> => {
    const payloads: Uint8Array[] = [];
    for (let start = 0; start < wanted.length; start += runner.maxBlocksMoved) {
      payloads.push(...(await runner.readBlocks(wanted.slice(start, start + runner.maxBlocksMoved))));
    }
    return payloads;
  };
  const payloads = await read(blocks);
  // A read of one block ends when all writes before it have reached the device.
  const write = async (count: number): Promise<void> => {
    for (let start = 0; start < count; start += runner.maxBlocksMoved) {
      const end = Math.min(count, start + runner.maxBlocksMoved);
      await runner.writeBlocks(blocks.slice(start, end), payloads.slice(start, end));
    }
    await runner.readBlocks(blocks.slice(0, 1));
  };
  const costs = {
    blockBytes,
    blockSize,
    saveBlock: await median(() => read(blocks.slice(0, 1))),
    saveThousand: await median(() => read(blocks)),
    loadBlock: await median(() => write(1)),
    loadThousand: await median(() => write(blocks.length)),
  };
  await runner.close();
  return costs;
};

/** In a process of its own. `loadBlock` and `loadThousand` include the read of one block that tells that they are done. */
export const measureBlockCosts = (modelPath: string, kvFormat: string): BlockCosts =>
  runApart<BlockCosts>(fileURLToPath(import.meta.url), ['--model', modelPath, '--kv-format', kvFormat]);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { model: { type: 'string' }, 'kv-format': { type: 'string' } } });
  console.log(JSON.stringify(await measure(values.model ?? '', values['kv-format'] as KvFormat)));
}
