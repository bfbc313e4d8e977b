/**
 * NMSE of every reference model's logits, by the way its tokens are cut into steps:
 *
 *     npx tsx bench/fidelity.ts [--data ../shared/oracles] [--activations f32] [--kv-format f32]
 *
 * Prints a Markdown table. In the column "top-1" is at how many positions the best token agrees when prefilled whole.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KV_FORMATS } from '../src/kernels/kv-format.ts';
import type { LoadOptions } from '../src/runtime/create-engine-options.ts';
import { loadModel } from '../src/runtime/load-model.ts';
import { sequenceLogits } from '../src/runtime/logits.ts';
import { mixedBatchLogits } from '../test/support/mixed-batch.ts';
import { argmaxOf, nmse, readOracle } from '../test/support/oracle.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/oracles' },
    activations: { type: 'string', default: 'f32' },
    'kv-format': { type: 'string', default: 'f32' },
  },
});
const options: LoadOptions = {
  activations: values.activations === 'f16' ? 'f16' : 'f32',
  kvFormat: KV_FORMATS.find((format) => format === values['kv-format']) ?? 'f32',
  maxRows: 256,
  contextLength: 256,
};

/** Models with their logits: GGUF files beside `.logits`, folders with `expected.logits`. */
const cases = readdirSync(values.data)
  .sort()
  .flatMap((name) => {
    const path = join(values.data, name);
    const beside = path.replace(/\.gguf$/, '.logits');
    if (name.endsWith('.gguf') && existsSync(beside)) return [{ name, path, logits: beside }];
    const inside = join(path, 'expected.logits');
    return existsSync(inside) ? [{ name, path, logits: inside }] : [];
  });

console.log(`activations ${options.activations}, KV ${options.kvFormat}\n`);
console.log('| model | whole | chunks of 7 | token by token | mixed batch (worst) | top-1 |');
console.log('|---|---|---|---|---|---|');
for (const { name, path, logits } of cases) {
  const oracle = readOracle(logits);
  const { ids, vocabularySize } = oracle;
  const model = await loadModel(path, options);
  const run = async (chunk: number) => (await sequenceLogits(model.runner, ids, chunk, vocabularySize)).logits;
  const whole = await run(ids.length);
  const others = [await run(7), await run(1)].map((actual) => nmse(actual, oracle.logits));
  const mixed = (await mixedBatchLogits(model.runner, oracle)).map((actual) => nmse(actual, oracle.logits));
  await model.runner.close();
  const row = (all: Float32Array, n: number) => all.subarray(n * vocabularySize, (n + 1) * vocabularySize);
  const same = ids.filter((_, n) => argmaxOf(row(whole, n)) === argmaxOf(row(oracle.logits, n))).length;
  const figures = [nmse(whole, oracle.logits), ...others, Math.max(...mixed)].map((value) => value.toExponential(1));
  console.log(`| ${name} | ${figures.join(' | ')} | ${same}/${ids.length} |`);
}
