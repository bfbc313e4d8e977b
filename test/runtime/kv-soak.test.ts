/** Many conversations in little room: memory and disk stay within their limits, and nothing is lost but time. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { ask, textOf } from '../support/engine.ts';
import { scriptedModel, temporaryFolder } from '../support/firstlight.ts';

/** The whole soak: SOAK_REQUESTS=10000 SOAK_SESSIONS=500. */
const NUM_REQUESTS = Number(process.env.SOAK_REQUESTS ?? 600);
const NUM_SESSIONS = Number(process.env.SOAK_SESSIONS ?? 60);
const RAM_BYTES = 48 * 1024;
const DISK_BYTES = 192 * 1024;

const bytesUnder = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) => sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );

test('hundreds of conversations stay within the limits of memory and disk', { timeout: 600_000 }, async () => {
  const directory = temporaryFolder();
  const warnings: string[] = [];
  const kvTiers = { ramBytes: RAM_BYTES, diskBytes: DISK_BYTES, directory, fsync: 'never' } as const;
  const replies = [{ tokens: ['1', ',', ' ', '2'] }];
  const engine = await createEngine(
    { model: scriptedModel({ contextLength: 1024, replies }), kvTiers, kvMemoryBytes: 16 * 1024, contextLength: 1024 },
    { onWarning: (message) => warnings.push(message) },
  );
  const turns = new Map<number, number>();
  let random = 1;
  const next = (limit: number): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % limit;
  };
  let numCached = 0;
  for (let count = 0; count < NUM_REQUESTS; count++) {
    const session = next(NUM_SESSIONS);
    const turn = (turns.get(session) ?? 0) + 1;
    turns.set(session, turn % 8);
    const prompt = `${session}: ${'word '.repeat(10 * turn)}`;
    const events = await ask(engine, prompt, { cache: { owner: '', session: `session ${session}` } });
    expect(textOf(events)).toBe('1, 2');
    const start = events[0]!;
    numCached += start.type === 'start' ? start.cachedTokens : 0;
    for (const { bytes, maxBytes } of engine.stats().kvTiers) expect(bytes).toBeLessThanOrEqual(maxBytes);
  }
  expect(numCached).toBeGreaterThan(NUM_REQUESTS * 10);
  const { kvTiers: tiers, kvBlocksUsed } = engine.stats();
  expect(kvBlocksUsed).toBe(0);
  expect(tiers.map(({ tier, evictedBlocks }) => [tier, evictedBlocks > 0])).toEqual([
    ['ram', true],
    ['disk', true],
  ]);
  await engine.close();
  expect(bytesUnder(join(directory, 'blocks'))).toBeLessThanOrEqual(DISK_BYTES);
  expect(warnings).toEqual([]);
});
