/** Normalisation of an encoder's rows, with a block's output added first. */
import { layerNormCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [384, 768, 1024].flatMap((dim) =>
      [16, 512, 8192].map((numRows) => {
        const type = activationType(device);
        return {
          name: `layer-norm ${type} ${numRows} × ${dim}`,
          bytes: numRows * dim * (8 + 2 * BYTES[type]) + 8 * dim,
          flops: 8 * numRows * dim,
          makeCheck: () => layerNormCheck(device, { numRows, dim, activations: type, delta: type }),
        };
      }),
    ),
  ),
);
