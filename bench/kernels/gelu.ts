/** The activation of an encoder's feed-forward block. */
import { geluCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [1536, 3072].flatMap((dim) =>
      [16, 512, 8192].map((numRows) => {
        const activations = activationType(device);
        return {
          name: `gelu ${activations} ${numRows} × ${dim}`,
          bytes: 2 * numRows * dim * BYTES[activations],
          flops: 15 * numRows * dim,
          makeCheck: () => geluCheck(device, { numRows, dim, activations }),
        };
      }),
    ),
  ),
);
