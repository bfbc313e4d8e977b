/** Writing K and V of one token and of a prompt chunk to the paged cache. */
import { kvWriteCheck } from '../../src/kernels/self-test/row-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

const HEADS = [
  { numKvHeads: 6, headDim: 48 },
  { numKvHeads: 8, headDim: 64 },
  { numKvHeads: 8, headDim: 128 },
];

await runBench(
  checkedCases((device) =>
    HEADS.flatMap((heads) =>
      [1, 16, 512].map((numRows) => {
        const type = activationType(device);
        return {
          name: `kv-write ${type} ${numRows} × ${heads.numKvHeads} × ${heads.headDim}`,
          bytes: 4 * numRows * heads.numKvHeads * heads.headDim * BYTES[type],
          flops: 0,
          makeCheck: () =>
            kvWriteCheck(device, { ...heads, numRows, blockSize: 16, activations: type, kvFormat: type }),
        };
      }),
    ),
  ),
);
