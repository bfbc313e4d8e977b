/** Rotation of the q and k heads of one token and of a prompt chunk. */
import { ropeCheck } from '../../src/kernels/self-test/row-checks.ts';
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
          name: `rope ${activations} ${numRows} × ${numHeads} × ${headDim}`,
          bytes: numElements * 2 * BYTES[activations] + numRows * headDim * 4,
          flops: 3 * numElements,
          makeCheck: () =>
            ropeCheck(device, { numRows, numHeads, headDim, rotaryDim: headDim, layout: 'interleaved', activations }),
        };
      }),
    ),
  ),
);
