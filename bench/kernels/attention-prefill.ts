/** Causal attention of a chunk of 256 tokens, alone and behind a cached prefix. */
import { attentionPrefillCheck } from '../../src/kernels/self-test/attention-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases, kvFormats, kvTokenBytes } from './checked-case.ts';

const HEADS = [
  { numHeads: 6, numKvHeads: 6, headDim: 48 },
  { numHeads: 32, numKvHeads: 8, headDim: 64 },
];
const NUM_QUERIES = 256;

await runBench(
  checkedCases((device) =>
    kvFormats(device).flatMap((kvFormat) =>
      HEADS.flatMap((heads) =>
        [0, 768].map((prefix) => {
          const activations = activationType(device);
          const { numHeads, numKvHeads, headDim } = heads;
          const numKeys = prefix + NUM_QUERIES;
          const numPairs = NUM_QUERIES * prefix + (NUM_QUERIES * (NUM_QUERIES + 1)) / 2;
          const types = kvFormat === activations ? activations : `${activations}, KV ${kvFormat}`;
          return {
            name: `attention-prefill ${types} ${numHeads}/${numKvHeads} × ${headDim}, ${NUM_QUERIES} behind ${prefix}`,
            bytes: numKeys * kvTokenBytes(kvFormat, heads) + 2 * NUM_QUERIES * numHeads * headDim * BYTES[activations],
            flops: 4 * numPairs * numHeads * headDim,
            makeCheck: () =>
              attentionPrefillCheck(device, {
                ...heads,
                blockSize: 16,
                activations,
                kvFormat,
                sequences: [{ numKeys, numQueries: NUM_QUERIES }],
              }),
          };
        }),
      ),
    ),
  ),
);
