/** `firstlight perplexity`: how well a model predicts a text file. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { loadModel } from '../runtime/load-model.ts';
import { measurePerplexity } from '../runtime/perplexity.ts';
import { loadOptions } from './options.ts';
import { withProgress } from './progress.ts';
import { localModel } from './pull.ts';

export interface PerplexityCommand {
  readonly file: string;
  /** Absent: the served context. */
  readonly window: number | undefined;
  /** Absent: half the window. */
  readonly stride: number | undefined;
  readonly isJson: boolean;
}

const ROWS = 64;

/** @throws EngineError config_invalid for a file that cannot be read; as `loadModel` and `measurePerplexity` */
export const runPerplexity = async (config: Config, command: PerplexityCommand): Promise<void> => {
  const text = await readFile(command.file, 'utf8').catch((cause: unknown) => {
    throw new EngineError('config_invalid', `--file: ${command.file} cannot be read`, {}, { cause });
  });
  const { path, ...local } = await localModel(config.model);
  const model = await loadModel(path, { ...loadOptions(config), ...local, maxSequences: 1, maxRows: ROWS });
  try {
    const window = command.window ?? model.description.contextLength;
    const stride = command.stride ?? Math.max(1, Math.floor(window / 2));
    const result = await withProgress(`scoring ${command.file}`, () =>
      measurePerplexity(model, text, { window, stride }),
    );
    const { activations, kvFormat } = model;
    if (command.isJson) {
      console.log(JSON.stringify({ model: model.description.id, activations, kvFormat, ...result }, null, 2));
      return;
    }
    const { least, mean } = result.contextTokens;
    console.log(`perplexity  ${result.perplexity.toFixed(4)}`);
    console.log(`tokens      ${result.scored} scored of ${result.tokens}`);
    console.log(
      `context     ${mean.toFixed(0)} tokens on average, at least ${least}; window ${window}, stride ${stride}`,
    );
    console.log(`computed    activations ${activations}, KV ${kvFormat}`);
  } finally {
    await model.runner.close();
  }
};
