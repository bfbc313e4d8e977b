/** The 64 best candidates of each row and the sum of all, by inserting and by ranking. */
import { topKCheck } from '../../src/kernels/self-test/candidate-checks.ts';
import { runBench } from './bench.ts';
import { checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [32_000, 128_256].flatMap((vocabularySize) =>
      [1, 16].flatMap((numRows) =>
        (['insert', 'rank'] as const).map((variant) => ({
          name: `top-k ${variant} ${numRows} × ${vocabularySize}`,
          bytes: 4 * numRows * vocabularySize,
          flops: 2 * numRows * vocabularySize,
          makeCheck: () => topKCheck(device, { numRows, vocabularySize, k: 64 }, variant),
        })),
      ),
    ),
  ),
);
