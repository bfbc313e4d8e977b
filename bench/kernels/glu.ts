/** The gate of a feed-forward block, for one token and for a prompt chunk. */
import { gluCheck } from '../../src/kernels/self-test/row-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [768, 8192, 14_336].flatMap((dim) =>
      [1, 16, 512].map((numRows) => {
        const activations = activationType(device);
        return {
          name: `glu ${activations} ${numRows} × ${dim}`,
          bytes: 3 * numRows * dim * BYTES[activations],
          flops: 5 * numRows * dim,
          makeCheck: () => gluCheck(device, { numRows, dim, activations }),
        };
      }),
    ),
  ),
);
