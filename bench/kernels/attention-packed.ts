/** Attention of encoders: many short texts, and few long ones. */
import { attentionPackedCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

const BATCHES: readonly (readonly [count: number, length: number])[] = [
  [64, 16],
  [4, 128],
  [1, 512],
];

await runBench(
  checkedCases((device) =>
    [32, 64].flatMap((headDim) =>
      BATCHES.map(([count, length]) => {
        const activations = activationType(device);
        const numHeads = 12;
        const numRows = count * length;
        return {
          name: `attention-packed ${activations} ${count} × ${length}, ${numHeads} heads of ${headDim}`,
          bytes: 4 * numRows * numHeads * headDim * BYTES[activations],
          flops: 4 * numRows * length * numHeads * headDim,
          makeCheck: () =>
            attentionPackedCheck(device, { lengths: new Array(count).fill(length), numHeads, headDim, activations }),
        };
      }),
    ),
  ),
);
