/** Capping of logits, for one row and for several. */
import { softCapCheck } from '../../src/kernels/self-test/row-checks.ts';
import { runBench } from './bench.ts';
import { checkedCases } from './checked-case.ts';

const VOCABULARY_SIZE = 256_000;

await runBench(
  checkedCases((device) =>
    [1, 16].map((numRows) => ({
      name: `soft-cap f32 ${numRows} × ${VOCABULARY_SIZE}`,
      bytes: 2 * 4 * numRows * VOCABULARY_SIZE,
      flops: 3 * numRows * VOCABULARY_SIZE,
      makeCheck: () => softCapCheck(device, { numRows, dim: VOCABULARY_SIZE, cap: 30 }),
    })),
  ),
);
