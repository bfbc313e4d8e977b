/** Holds a device's logits of one model against the CPU's: is wrong output the driver's fault? */
import type { KvFormat } from '../kernels/kv-format.ts';
import { nmse } from '../kernels/reference.ts';
import type { LoadOptions } from './create-engine-options.ts';
import { EngineError } from './errors.ts';
import { loadModel } from './load-model.ts';
import { sequenceLogits } from './logits.ts';
import { findArchitecture } from './models/index.ts';
import { openModel } from './weights/open-model.ts';

export interface LogitsComparison {
  readonly ids: readonly number[];
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: KvFormat;
  /** Over all positions. */
  readonly nmse: number;
  /** Positions at which both sides have the same best token. */
  readonly sameTop1: number;
}

/**
 * Runs `numTokens` ids spread over the vocabulary on the device and on the CPU. The device computes in the precision that
 * `serve` would choose.
 * @throws EngineError as `loadModel`
 */
export const compareLogits = async (
  path: string,
  numTokens: number,
  options: Pick<LoadOptions, 'adapter' | 'activations' | 'kvFormat'>,
): Promise<LogitsComparison> => {
  const model = await loadModel(path, { ...options, maxBatchTokens: numTokens, maxSequences: 1, maxRows: numTokens });
  const { vocabularySize, contextLength } = model.description;
  const ids = Array.from({ length: Math.min(numTokens, contextLength) }, (_, i) => (1 + i * 7919) % vocabularySize);
  const actual = await sequenceLogits(model.runner, ids, ids.length, vocabularySize).finally(() =>
    model.runner.close(),
  );
  const file = await openModel(path);
  try {
    const architecture = findArchitecture(file.string('general.architecture'), file.path);
    const expected = await architecture.reference(architecture.readConfig(file), file, ids, contextLength);
    const best = (logits: ArrayLike<number>, row: number) => argmax(logits, row * vocabularySize, vocabularySize);
    const sameTop1 = ids.filter((_, row) => best(actual.logits, row) === best(expected, row)).length;
    const { activations, kvFormat } = model;
    return { ids, activations, kvFormat, nmse: nmse(actual.logits, expected), sameTop1 };
  } finally {
    await file.close();
  }
};

/**
 * NMSE that rounding explains: what the reference models of the tests are held to. Random weights, which blur nothing out,
 * and experts chosen by a hair make most of a quantized cache's part.
 */
const BOUNDS = { f32: 1e-6, 'f32, f16 KV': 5e-6, f16: 1e-4, q8: 1e-2, q4: 0.4 };

export const maxNmseOf = ({ activations, kvFormat }: Pick<LogitsComparison, 'activations' | 'kvFormat'>): number => {
  if (kvFormat === 'q8' || kvFormat === 'q4') return BOUNDS[kvFormat];
  if (activations === 'f16') return BOUNDS.f16;
  return kvFormat === 'f16' ? BOUNDS['f32, f16 KV'] : BOUNDS.f32;
};

const argmax = (values: ArrayLike<number>, start: number, length: number): number => {
  let best = 0;
  for (let i = 1; i < length; i++) if (values[start + i]! > values[start + best]!) best = i;
  if (Number.isNaN(values[start + best])) throw new EngineError('internal', 'the logits are not numbers');
  return best;
};
