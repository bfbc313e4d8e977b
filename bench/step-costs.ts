/** What keeping KV below the pool costs a request that finds nothing there: the same prompts with tiers and without. */
import { percentile } from '../src/cli/measure-model.ts';
import { type Answer, ask, startServer, type Target } from './http-target.ts';
import { withKvFolder } from './kv-folder.ts';

const MAX_TOKENS = 64;

export interface StepCosts {
  readonly ttftMs: number;
  /** Between one piece of text and the next. */
  readonly interTokenMs: number;
}

const costsOf = (answers: readonly Answer[]): StepCosts => ({
  ttftMs: percentile(
    answers.map(({ ttftMs }) => ttftMs),
    0.5,
  ),
  interTokenMs: percentile(
    answers.flatMap(({ gapsMs }) => gapsMs),
    0.5,
  ),
});

/** Medians. Two servers run side by side and take turns at each prompt, so that both have the same machine. */
export const measureStepCosts = (
  modelFlags: readonly string[],
  warmUp: string,
  prompts: readonly string[],
): Promise<{ withTiers: StepCosts; without: StepCosts }> =>
  withKvFolder(async (folder) => {
    const servers: { target: Target; answers: Answer[] }[] = [];
    try {
      for (const flags of [folder.tierFlags, ['--kv-ram', '0', '--kv-disk', '0']]) {
        const target = await startServer([...modelFlags, ...flags]);
        servers.push({ target, answers: [] });
        await ask(target, { prompt: warmUp }, MAX_TOKENS);
      }
      for (const prompt of prompts) {
        for (const { target, answers } of servers) answers.push(await ask(target, { prompt }, MAX_TOKENS));
      }
      const [withTiers, without] = servers.map(({ answers }) => costsOf(answers));
      return { withTiers: withTiers!, without: without! };
    } finally {
      for (const { target } of servers) await target.close();
    }
  });
