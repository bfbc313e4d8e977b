/** Every kernel against its reference on this device, in seconds: what `firstlight doctor` runs. */
import type { GpuDevice } from './device.ts';
import { isQuantized, KV_FORMATS } from './kv-format.ts';
import { QUANT_FORMATS } from './quant/index.ts';
import { attentionDecodeCheck, attentionPrefillCheck } from './self-test/attention-checks.ts';
import { argmaxCheck, topKCheck } from './self-test/candidate-checks.ts';
import { attentionPackedCheck, geluCheck, layerNormCheck, poolingCheck } from './self-test/encoder-checks.ts';
import { expertChoiceCheck, expertRoutesCheck, expertSumCheck } from './self-test/expert-checks.ts';
import { type FloatType, type KernelCheck, runCheck } from './self-test/kernel-check.ts';
import { hadamardCheck, kvWriteCheck } from './self-test/kv-checks.ts';
import { embeddingCheck, matmulCheck } from './self-test/matmul-checks.ts';
import { gluCheck, headNormCheck, rmsNormCheck, ropeCheck, softCapCheck } from './self-test/row-checks.ts';

export interface SelfTestResult {
  readonly kernel: string;
  /** Type of activations or weights, and number of rows where the kernel depends on it. */
  readonly variant: string;
  readonly passed: boolean;
  /** Normalised mean square error against float64; NaN when the kernel did not run. */
  readonly nmse: number;
  /** Why the kernel did not run, or how far off it is. */
  readonly error?: string;
}

interface SelfTest {
  readonly kernel: string;
  readonly variant: string;
  makeCheck(device: GpuDevice): Promise<KernelCheck>;
}

const DECODE_SEQUENCES = [
  { numKeys: 300, numQueries: 1 },
  { numKeys: 1, numQueries: 1 },
  { numKeys: 33, numQueries: 1 },
];
const PREFILL_SEQUENCES = [
  { numKeys: 50, numQueries: 21 },
  { numKeys: 17, numQueries: 17 },
];

/** The kernels that read and write activations; a new one is one more entry. */
const activationTests = (activations: FloatType): SelfTest[] => {
  const paged = { numHeads: 4, numKvHeads: 2, headDim: 64, blockSize: 16, activations, kvFormat: activations };
  return [
    {
      kernel: 'rms-norm',
      variant: activations,
      makeCheck: (device) => rmsNormCheck(device, { numRows: 5, dim: 300, activations, delta: activations }),
    },
    {
      kernel: 'rope',
      variant: activations,
      makeCheck: (device) =>
        ropeCheck(device, {
          numRows: 5,
          numHeads: 3,
          headDim: 64,
          rotaryDim: 32,
          layout: 'interleaved',
          activations,
        }),
    },
    {
      kernel: 'head-norm',
      variant: activations,
      makeCheck: (device) =>
        headNormCheck(device, { numRows: 5, numHeads: 4, numKvHeads: 2, headDim: 64, activations }),
    },
    {
      kernel: 'hadamard',
      variant: activations,
      makeCheck: (device) => hadamardCheck(device, { numRows: 5, numHeads: 6, headDim: 64, activations }),
    },
    {
      kernel: 'kv-write',
      variant: activations,
      makeCheck: (device) => kvWriteCheck(device, { ...paged, numRows: 20 }),
    },
    {
      kernel: 'attention-decode',
      variant: activations,
      makeCheck: (device) => attentionDecodeCheck(device, { ...paged, sequences: DECODE_SEQUENCES }),
    },
    {
      kernel: 'attention-prefill',
      variant: activations,
      makeCheck: (device) => attentionPrefillCheck(device, { ...paged, sequences: PREFILL_SEQUENCES }),
    },
    ...KV_FORMATS.filter(isQuantized).flatMap((kvFormat) => [
      {
        kernel: 'kv-write',
        variant: `${activations}, KV ${kvFormat}`,
        makeCheck: (device: GpuDevice) => kvWriteCheck(device, { ...paged, kvFormat, numRows: 20 }),
      },
      {
        kernel: 'attention-decode',
        variant: `${activations}, KV ${kvFormat}`,
        makeCheck: (device: GpuDevice) =>
          attentionDecodeCheck(device, { ...paged, kvFormat, sequences: DECODE_SEQUENCES }),
      },
      {
        kernel: 'attention-prefill',
        variant: `${activations}, KV ${kvFormat}`,
        makeCheck: (device: GpuDevice) =>
          attentionPrefillCheck(device, { ...paged, kvFormat, sequences: PREFILL_SEQUENCES }),
      },
    ]),
    {
      kernel: 'expert-sum',
      variant: activations,
      makeCheck: (device) => expertSumCheck(device, { numTokens: 5, expertsPerToken: 4, dim: 100, activations }),
    },
    {
      kernel: 'glu',
      variant: activations,
      makeCheck: (device) => gluCheck(device, { numRows: 3, dim: 300, activations }),
    },
    {
      kernel: 'gelu',
      variant: activations,
      makeCheck: (device) => geluCheck(device, { numRows: 3, dim: 300, activations }),
    },
    {
      kernel: 'layer-norm',
      variant: activations,
      makeCheck: (device) => layerNormCheck(device, { numRows: 5, dim: 300, activations, delta: activations }),
    },
    {
      kernel: 'attention-packed',
      variant: activations,
      makeCheck: (device) =>
        attentionPackedCheck(device, { lengths: [50, 1, 17], numHeads: 4, headDim: 32, activations }),
    },
    {
      kernel: 'pooling',
      variant: activations,
      makeCheck: (device) => poolingCheck(device, { lengths: [5, 1, 30], dim: 300, activations }),
    },
  ];
};

const MATMUL_ROWS = [1, 5, 70];

const weightTests = (activations: FloatType): SelfTest[] =>
  QUANT_FORMATS.flatMap((format) => {
    const columns = 2 * Math.max(64, format.blockLength);
    const shape = { format, rows: 100, columns };
    return [
      {
        kernel: 'embedding',
        variant: format.name,
        makeCheck: (device: GpuDevice) => embeddingCheck(device, { ...shape, numRows: 5 }),
      },
      ...MATMUL_ROWS.map((numRows) => ({
        kernel: 'matmul',
        variant: `${format.name}, ${activations}, ${numRows} rows`,
        makeCheck: (device: GpuDevice) => matmulCheck(device, { ...shape, numRows, activations }),
      })),
    ];
  });

const EXPERTS = { numTokens: 70, numExperts: 32, expertsPerToken: 4 };

const FIXED_TYPE_TESTS: readonly SelfTest[] = [
  {
    kernel: 'expert-choice',
    variant: 'f32',
    makeCheck: (device) => expertChoiceCheck(device, { ...EXPERTS, sharesOf: 'chosen' }),
  },
  {
    kernel: 'expert-routes',
    variant: 'u32',
    makeCheck: (device) => expertRoutesCheck(device, EXPERTS),
  },
  {
    kernel: 'soft-cap',
    variant: 'f32',
    makeCheck: (device) => softCapCheck(device, { numRows: 3, dim: 5000, cap: 30 }),
  },
  {
    kernel: 'argmax',
    variant: 'f32',
    makeCheck: (device) => argmaxCheck(device, { numRows: 3, vocabularySize: 5000, numValues: 1000 }),
  },
  {
    kernel: 'top-k',
    variant: 'f32',
    makeCheck: (device) => topKCheck(device, { numRows: 3, vocabularySize: 5000, numValues: 1000, k: 40 }),
  },
];

/** Runs the kernels one by one as this device would run them, and yields as they end. A failure does not stop the rest. */
export async function* runSelfTests(device: GpuDevice): AsyncGenerator<SelfTestResult> {
  const types: readonly FloatType[] = device.hasF16 ? ['f32', 'f16'] : ['f32'];
  const tests = [...types.flatMap(activationTests), ...FIXED_TYPE_TESTS, ...weightTests(types.at(-1)!)];
  for (const { kernel, variant, makeCheck } of tests) {
    try {
      const check = await makeCheck(device);
      const nmse = await runCheck(device, check);
      const passed = nmse <= check.maxError;
      const error = `NMSE ${nmse.toExponential(1)} is above ${check.maxError}`;
      yield { kernel, variant, passed, nmse, ...(passed ? {} : { error }) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      yield { kernel, variant, passed: false, nmse: Number.NaN, error: message };
    }
  }
}
