/** Attention of one token a sequence over its cache. Bytes: K and V once, however many query heads share them. */
import { attentionDecodeCheck } from '../../src/kernels/self-test/attention-checks.ts';
import { runBench } from './bench.ts';
import { activationType, checkedCases, kvFormats, kvTokenBytes } from './checked-case.ts';

const HEADS = [
  { numHeads: 6, numKvHeads: 6, headDim: 48 },
  { numHeads: 32, numKvHeads: 8, headDim: 64 },
];
const BATCHES = [
  { numSequences: 1, numKeys: 500 },
  { numSequences: 1, numKeys: 4000 },
  { numSequences: 16, numKeys: 500 },
];

await runBench(
  checkedCases((device) =>
    kvFormats(device).flatMap((kvFormat) =>
      HEADS.flatMap((heads) =>
        BATCHES.map(({ numSequences, numKeys }) => {
          const activations = activationType(device);
          const { numHeads, numKvHeads, headDim } = heads;
          const types = kvFormat === activations ? activations : `${activations}, KV ${kvFormat}`;
          return {
            name: `attention-decode ${types} ${numHeads}/${numKvHeads} × ${headDim}, ${numSequences} × ${numKeys} keys`,
            bytes: numSequences * numKeys * kvTokenBytes(kvFormat, heads),
            flops: 4 * numSequences * numKeys * numHeads * headDim,
            makeCheck: () =>
              attentionDecodeCheck(device, {
                ...heads,
                blockSize: 16,
                activations,
                kvFormat,
                sequences: Array.from({ length: numSequences }, () => ({ numKeys, numQueries: 1 })),
              }),
          };
        }),
      ),
    ),
  ),
);
