/** Attention of one token a sequence over its cache. Bytes: K and V once, however many query heads share them. */
import { attentionDecodeCheck } from '../../src/kernels/self-test/attention-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';

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
    HEADS.flatMap((heads) =>
      BATCHES.map(({ numSequences, numKeys }) => {
        const type = activationType(device);
        const { numHeads, numKvHeads, headDim } = heads;
        return {
          name: `attention-decode ${type} ${numHeads}/${numKvHeads} × ${headDim}, ${numSequences} × ${numKeys} keys`,
          bytes: 2 * numSequences * numKeys * numKvHeads * headDim * BYTES[type],
          flops: 4 * numSequences * numKeys * numHeads * headDim,
          makeCheck: () =>
            attentionDecodeCheck(device, {
              ...heads,
              blockSize: 16,
              activations: type,
              kvFormat: type,
              sequences: Array.from({ length: numSequences }, () => ({ numKeys, numQueries: 1 })),
            }),
        };
      }),
    ),
  ),
);
