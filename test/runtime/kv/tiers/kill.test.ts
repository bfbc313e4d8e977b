import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DiskTier } from '../../../../src/runtime/kv/tiers/disk.ts';
import type { TierWarning } from '../../../../src/runtime/kv/tiers/tier.ts';
import { payloadOf } from '../../../support/kv-blocks.ts';

const NUM_ROUNDS = Number(process.env.FIRSTLIGHT_KILL_ROUNDS ?? 20);
const LONGEST_MS = 300;
const ROUND_MS = 20_000;

/** Kills the writer at a random moment after it has opened the directory. @returns the lines that it wrote */
const writeUntilKilled = (directory: string, round: number): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', 'test/support/tier-writer.ts', directory, String(round)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      if (text === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * LONGEST_MS);
      text += part;
    });
    child.on('error', reject);
    // The last line may be cut off.
    child.on('close', () => resolve(text.split('\n').slice(1, -1)));
  });

test(
  'a process killed at any moment loses nothing that it knew to be saved, and leaves nothing wrong',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'firstlight-kill-'));
    const saved = new Set<string>();
    const warnings: TierWarning[] = [];
    try {
      for (let round = 0; round < NUM_ROUNDS; round++) {
        for (const line of await writeUntilKilled(directory, round)) {
          expect(line).toMatch(/^[0-9a-f]{32}$/);
          saved.add(line);
        }
        const tier = await DiskTier.open({
          directory,
          maxBytes: 1024 ** 3,
          modelFingerprint: 'model',
          kvFormat: 'f16',
          fsync: 'never',
          onWarning: (warning) => warnings.push(warning),
        });
        const keys = [...saved].slice(-3000);
        const { payloads } = await tier.lend(keys);
        const bad = keys.filter((key, i) => !payloads[i] || !Buffer.from(payloads[i]).equals(payloadOf(key, 4096)));
        expect(bad, `round ${round}`).toEqual([]);
        await tier.close();
      }
      expect(saved.size).toBeGreaterThan(0);
      expect(warnings).toEqual([]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
  NUM_ROUNDS * ROUND_MS,
);
