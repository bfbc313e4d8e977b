/** Normalisation of query and key heads, for one token and for a prompt chunk. */
import { headNormCheck } from '../../src/kernels/self-test/row-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

const SHAPES = [
  { numHeads: 16, numKvHeads: 8, headDim: 128 },
  { numHeads: 8, numKvHeads: 4, headDim: 256 },
];

await runBench(
  checkedCases((device) =>
    SHAPES.flatMap((shape) =>
      [1, 16, 512].map((numRows) => {
        const activations = activationType(device);
        const elements = numRows * (shape.numHeads + shape.numKvHeads) * shape.headDim;
        return {
          name: `head-norm ${activations} ${numRows} × ${shape.numHeads}+${shape.numKvHeads} × ${shape.headDim}`,
          bytes: 2 * elements * BYTES[activations],
          flops: 4 * elements,
          makeCheck: () => headNormCheck(device, { ...shape, numRows, activations }),
        };
      }),
    ),
  ),
);
