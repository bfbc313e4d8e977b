/** `firstlight bench`: how fast this model runs on this adapter. */
import { basename } from 'node:path';
import type { Config } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { loadModel } from '../runtime/load-model.ts';
import { type ModelSpeed, measureModel } from './measure-model.ts';
import { loadOptions } from './options.ts';
import { loadLabel, withProgress } from './progress.ts';
import { localModel } from './pull.ts';

export interface BenchCommand {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly batches: readonly number[];
  readonly isJson: boolean;
}

const DEFAULT_CHUNK = 512;

/** @throws EngineError as `loadModel`; config_invalid when the workload does not fit */
export const runBench = async (config: Config, command: BenchCommand): Promise<void> => {
  if (config.model.startsWith('scripted:')) {
    throw new EngineError('config_invalid', `--model ${config.model}: a scripted model computes nothing to measure`);
  }
  const { promptTokens, decodeTokens, batches } = command;
  const { path, ...local } = await localModel(config.model);
  const name = local.modelId ?? basename(path);
  const { runner, description, adapter, activations, kvFormat } = await withProgress(`loading ${name}`, (setLabel) =>
    loadModel(path, { ...loadOptions(config), ...local, maxSequences: Math.max(...batches) }, (progress) =>
      setLabel(loadLabel(name, progress)),
    ),
  );
  try {
    const work = { promptTokens, decodeTokens, chunk: Math.min(DEFAULT_CHUNK, runner.limits.maxTokens) };
    const { vocabularySize, contextLength } = description;
    refuseBeyond(
      '--prompt-tokens and --decode-tokens',
      promptTokens + decodeTokens,
      contextLength,
      'context in tokens',
    );
    const rows: (ModelSpeed & { batch: number })[] = [];
    for (const batch of batches) {
      const speed = await withProgress(`measuring batch ${batch}`, async () => {
        await measureModel(runner, { ...work, batch, vocabularySize, decodeTokens: 2 });
        return measureModel(runner, { ...work, batch, vocabularySize });
      });
      rows.push({ batch, ...speed });
    }
    const setting = { model: description.id, adapter, activations, kvFormat, promptTokens, decodeTokens };
    if (command.isJson) console.log(JSON.stringify({ ...setting, results: rows }));
    else print(setting, rows);
  } finally {
    await runner.close();
  }
};

const refuseBeyond = (flags: string, wanted: number, limit: number, what: string): void => {
  if (wanted > limit) throw new EngineError('config_invalid', `${flags}: ${wanted} is more than the ${what}, ${limit}`);
};

const print = (
  setting: { model: string; adapter: string; activations: string; kvFormat: string } & Omit<
    BenchCommand,
    'batches' | 'isJson'
  >,
  rows: readonly (ModelSpeed & { batch: number })[],
): void => {
  console.log(`model    ${setting.model} (activations ${setting.activations}, KV ${setting.kvFormat})`);
  console.log(`adapter  ${setting.adapter}`);
  console.log(
    `work     ${setting.promptTokens} prompt tokens, then ${setting.decodeTokens} decoded, greedy; no prefix cache; kernels compiled before\n`,
  );
  console.log('batch  prefill tok/s  decode tok/s  step p50 ms  step p95 ms');
  for (const { batch, prefillTokensPerSecond, decodeTokensPerSecond, decodeStepMs } of rows) {
    const cells = [prefillTokensPerSecond, decodeTokensPerSecond, decodeStepMs.p50, decodeStepMs.p95];
    const [prefill, decode, p50, p95] = cells.map((value, index) => value.toFixed(index < 2 ? 1 : 2));
    console.log(
      `${String(batch).padStart(5)}  ${prefill!.padStart(13)}  ${decode!.padStart(12)}  ${p50!.padStart(11)}  ${p95!.padStart(11)}`,
    );
  }
};
