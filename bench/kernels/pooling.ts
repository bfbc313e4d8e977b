/** Sums of the rows of many short texts, and of few long ones. */
import { poolingCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

const BATCHES: readonly (readonly [count: number, length: number])[] = [
  [64, 16],
  [16, 512],
  [4, 2048],
];

await runBench(
  checkedCases((device) =>
    BATCHES.map(([count, length]) => {
      const activations = activationType(device);
      const dim = 768;
      return {
        name: `pooling ${activations} ${count} × ${length} × ${dim}`,
        bytes: count * dim * (length * BYTES[activations] + 4),
        flops: count * length * dim,
        makeCheck: () => poolingCheck(device, { lengths: new Array(count).fill(length), dim, activations }),
      };
    }),
  ),
);
