/** The Hadamard matrix on the q and k heads of one token and of a prompt chunk. */
import { hadamardSize } from '../../src/kernels/hadamard.ts';
import { hadamardCheck } from '../../src/kernels/self-test/kv-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

const HEADS = [
  { numHeads: 12, headDim: 48 },
  { numHeads: 40, headDim: 64 },
  { numHeads: 40, headDim: 128 },
];

await runBench(
  checkedCases((device) =>
    HEADS.flatMap(({ numHeads, headDim }) =>
      [1, 16, 512].map((numRows) => {
        const activations = activationType(device);
        const numElements = numRows * numHeads * headDim;
        return {
          name: `hadamard ${activations} ${numRows} × ${numHeads} × ${headDim}`,
          bytes: numElements * 2 * BYTES[activations],
          flops: numElements * (Math.log2(hadamardSize(headDim)) + 1),
          makeCheck: () => hadamardCheck(device, { numRows, numHeads, headDim, activations }),
        };
      }),
    ),
  ),
);
