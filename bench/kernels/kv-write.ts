/** Writing K and V of one token and of a prompt chunk to the paged cache. */
import { kvWriteCheck } from '../../src/kernels/self-test/kv-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases, kvFormats, kvTokenBytes } from './checked-case.ts';

const HEADS = [
  { numKvHeads: 6, headDim: 48 },
  { numKvHeads: 8, headDim: 64 },
  { numKvHeads: 8, headDim: 128 },
];

await runBench(
  checkedCases((device) =>
    kvFormats(device).flatMap((kvFormat) =>
      HEADS.flatMap((heads) =>
        [1, 16, 512].map((numRows) => {
          const activations = activationType(device);
          const { numKvHeads, headDim } = heads;
          const types = kvFormat === activations ? activations : `${activations}, KV ${kvFormat}`;
          return {
            name: `kv-write ${types} ${numRows} × ${numKvHeads} × ${headDim}`,
            bytes: numRows * (2 * numKvHeads * headDim * BYTES[activations] + kvTokenBytes(kvFormat, heads)),
            flops: 0,
            makeCheck: () => kvWriteCheck(device, { ...heads, numRows, blockSize: 16, activations, kvFormat }),
          };
        }),
      ),
    ),
  ),
);
