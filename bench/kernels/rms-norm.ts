/** Normalisation of one token and of a prompt chunk, with the residual added first. */
import { rmsNormCheck } from '../../src/kernels/self-test/row-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [288, 2048, 4096].flatMap((dim) =>
      [1, 16, 512].map((numRows) => {
        const type = activationType(device);
        return {
          name: `rms-norm ${type} ${numRows} × ${dim}`,
          bytes: numRows * dim * (8 + 2 * BYTES[type]) + 4 * dim,
          flops: 5 * numRows * dim,
          makeCheck: () => rmsNormCheck(device, { numRows, dim, activations: type, delta: type }),
        };
      }),
    ),
  ),
);
