/**
 * Random models of unusual shapes and mixed quantizations, on the device against the float64 CPU pass:
 *
 *     npx tsx bench/odd-shapes.ts [--first 1] [--count 100] [--activations f32] [--kv-format f32]
 *
 * Prints one line a model: its seed, its shape, and the worst NMSE of whole, chunks of 64, 7 and 1, and a mixed batch.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { LoadOptions } from '../src/runtime/create-engine-options.ts';
import { loadModel } from '../src/runtime/load-model.ts';
import { sequenceLogits } from '../src/runtime/logits.ts';
import { findArchitecture } from '../src/runtime/models/index.ts';
import { openModel } from '../src/runtime/weights/open-model.ts';
import { mixedBatchLogits } from '../test/support/mixed-batch.ts';
import { nmse } from '../test/support/oracle.ts';
import { mulberry32, WEIGHT_TYPES, type WeightType } from './random-blocks.ts';
import { type TypeOfTensor, writeRandomGguf } from './random-gguf.ts';
import type { ModelShape } from './random-shapes.ts';

const HEAD_COUNTS = [
  [1, 1],
  [3, 3],
  [4, 4],
  [4, 1],
  [8, 2],
  [14, 2],
  [7, 1],
  [9, 3],
] as const;
const SCALINGS: readonly NonNullable<ModelShape['metadata']>[] = [
  {},
  {},
  { 'rope.scaling.type': { string: 'linear' }, 'rope.scaling.factor': { f32: 4 } },
  {
    'rope.scaling.type': { string: 'yarn' },
    'rope.scaling.factor': { f32: 8 },
    'rope.scaling.original_context_length': { u32: 32 },
  },
];
const FAMILIES = ['llama', 'smollm3', 'qwen2', 'qwen3', 'qwen3moe', 'phi3', 'gemma2', 'gemma3', 'gpt-oss'] as const;

/** Main type, then what values, the feed-forward's end and the output have. Source: llama.cpp's mixtures. */
const MIXTURES: readonly (readonly [main: WeightType, better: WeightType, output: WeightType])[] = [
  ['q2_k', 'q3_k', 'q6_k'],
  ['q3_k', 'q5_k', 'q6_k'],
  ['q4_k', 'q6_k', 'q6_k'],
  ['q5_k', 'q6_k', 'q6_k'],
  ['q4_0', 'q4_1', 'q6_k'],
  ['iq4_xs', 'q5_k', 'q6_k'],
  ['iq4_nl', 'q5_0', 'q8_0'],
];

const typesOf = (seed: number, isTied: boolean): TypeOfTensor => {
  const random = mulberry32(seed + 7777);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const kind = random();
  if (kind < 0.3) {
    const types = new Map<string, WeightType>();
    return (name) => types.set(name, types.get(name) ?? pick(WEIGHT_TYPES)).get(name)!;
  }
  if (kind < 0.5) {
    const type = pick(WEIGHT_TYPES);
    return () => type;
  }
  const [main, better, output] = pick(MIXTURES);
  const head = isTied ? 'token_embd' : 'output';
  return (name) => (name === head ? output : /attn_v|ffn_down/.test(name) ? better : main);
};

/** What a family has beyond the common shape. */
const familyFields = (
  family: (typeof FAMILIES)[number],
  pick: <T>(all: readonly T[]) => T,
  headDim: number,
): Partial<ModelShape> => {
  const scaling = pick(SCALINGS);
  const window = { 'attention.sliding_window': { u32: pick([5, 16, 33]) } };
  const [count, used] = pick([
    [4, 1],
    [5, 3],
    [8, 2],
    [32, 8],
  ] as const);
  const rotary = pick([headDim, headDim, headDim / 2]);
  const dimensions = { 'rope.dimension_count': { u32: rotary } };
  const factors = (least: number) => Array.from({ length: rotary / 2 }, (_, i) => least + i / 4);
  switch (family) {
    case 'llama': {
      const kind = pick(['plain', 'factors', 'biases', 'window']);
      return {
        metadata: { ...(kind === 'factors' ? {} : scaling), ...dimensions, ...(kind === 'window' ? window : {}) },
        ...(kind === 'factors' ? { vectors: { 'rope_freqs.weight': factors(1) } } : {}),
        ...(kind === 'biases' ? { hasQkvBias: true, hasOutputBiases: true } : {}),
      };
    }
    case 'smollm3':
      return { metadata: scaling };
    case 'qwen2':
      return { hasQkvBias: true, metadata: scaling };
    case 'qwen3':
      return { hasHeadNorms: true, metadata: scaling };
    case 'qwen3moe':
      return { hasHeadNorms: true, experts: { count, used }, metadata: scaling };
    case 'phi3':
      return {
        isFused: true,
        metadata: { ...dimensions, ...pick([window, {}]), 'rope.scaling.original_context_length': { u32: 40 } },
        vectors: pick([
          {},
          { 'rope_factors_short.weight': factors(1), 'rope_factors_long.weight': factors(3) },
        ] as const),
      };
    case 'gemma2':
      return { hasPostNorms: true, metadata: window };
    case 'gemma3':
      return { hasPostNorms: true, hasHeadNorms: true, metadata: { ...window, ...scaling } };
    case 'gpt-oss':
      return {
        hasQkvBias: true,
        hasSinksAndBiases: true,
        experts: { count, used },
        metadata: { ...window, ...scaling },
      };
  }
};

export interface OddModel {
  readonly shape: ModelShape;
  readonly types: TypeOfTensor;
}

/** The same for the same seed. */
export const oddModel = (seed: number): OddModel => {
  const random = mulberry32(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const family = FAMILIES[seed % FAMILIES.length]!;
  const [numHeads, numKvHeads] = pick(HEAD_COUNTS);
  const headDim = pick([16, 48, 64, 80, 96, 112, 128, 256]);
  const isTied = pick([true, false]);
  const shape: ModelShape = {
    architecture: family,
    dim: pick([64, 96, 160, 256, 288, 320, 384, 512]),
    numLayers: pick([1, 2, 3, family === 'gemma3' ? 7 : 4]),
    numHeads,
    numKvHeads,
    headDim,
    ffnDim: pick([64, 160, 256, 352, 704]),
    vocabularySize: pick([263, 1031, 1031, 4099, seed % 10 === 0 ? 32_001 : 513]),
    contextLength: 128,
    ropeBase: pick([10_000, 500_000]),
    isTied,
    hasRandomNorms: true,
    ...familyFields(family, pick, headDim),
  };
  return { shape, types: typesOf(seed, isTied) };
};

const NUM_TOKENS = 70;

/** NMSE by the way the tokens are cut into steps. */
export const oddModelErrors = async (
  path: string,
  seed: number,
  options: LoadOptions,
  chunks: readonly number[] = [NUM_TOKENS, 64, 7, 1],
): Promise<number[]> => {
  const { shape, types } = oddModel(seed);
  const { vocabularySize } = shape;
  writeRandomGguf(path, shape, types, seed);
  const ids = Array.from({ length: NUM_TOKENS }, (_, i) => (i * 7919 + seed) % vocabularySize);
  const file = await openModel(path);
  const architecture = findArchitecture(file.string('general.architecture'), path);
  const contextLength = 128;
  const expected = await architecture.reference(architecture.readConfig(file), file, ids, contextLength);
  await file.close();
  const { runner } = await loadModel(path, { maxRows: 256, contextLength, ...options });
  try {
    const errors: number[] = [];
    for (const chunk of chunks) {
      errors.push(nmse((await sequenceLogits(runner, ids, chunk, vocabularySize)).logits, expected));
    }
    const oracle = { ids, vocabularySize, logits: Float32Array.from(expected) };
    for (const logits of await mixedBatchLogits(runner, oracle)) errors.push(nmse(logits, expected));
    return errors;
  } finally {
    await runner.close();
  }
};

const describe = ({ shape, types }: OddModel): string => {
  const { architecture, dim, headDim, numHeads, numKvHeads, ffnDim, vocabularySize, numLayers, isTied } = shape;
  const more = Object.entries(shape.metadata ?? {}).map(
    ([key, value]) => `${key}=${Object.values(value as object)[0]}`,
  );
  const named = ['token_embd', 'blk.0.attn_q', 'blk.0.attn_v', 'blk.0.ffn_down', 'output'].map(types).join('/');
  return `${architecture} ${numLayers}×${dim}, heads ${numHeads}/${numKvHeads}×${headDim}, ffn ${ffnDim}, vocabulary ${vocabularySize}${isTied ? ' tied' : ''}, ${named} ${[...more, ...Object.keys(shape.vectors ?? {})].join(' ')}`;
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      first: { type: 'string', default: '1' },
      count: { type: 'string', default: '100' },
      activations: { type: 'string', default: 'f32' },
      'kv-format': { type: 'string', default: 'f32' },
    },
  });
  const precision = (text: string): 'f32' | 'f16' => (text === 'f16' ? 'f16' : 'f32');
  const options = { activations: precision(values.activations), kvFormat: precision(values['kv-format']) };
  const folder = mkdtempSync(join(tmpdir(), 'odd-shapes-'));
  let worst = 0;
  let failed = 0;
  const first = Number(values.first);
  for (let seed = first; seed < first + Number(values.count); seed++) {
    const errors = await oddModelErrors(join(folder, 'model.gguf'), seed, options).catch((error: unknown) => {
      console.log(`${seed} FAILED ${String(error)}: ${describe(oddModel(seed))}`);
      failed++;
      return [0];
    });
    const error = Math.max(...errors.map((value) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)));
    worst = Math.max(worst, error);
    console.log(`${seed} ${error.toExponential(1)} ${describe(oddModel(seed))}`);
  }
  rmSync(folder, { recursive: true });
  console.log(`worst NMSE ${worst.toExponential(1)}, ${failed} failed`);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
