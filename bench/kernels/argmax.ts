/** The greatest logit of each row, for vocabularies of 32,000 and 128,256. */
import { argmaxCheck } from '../../src/kernels/self-test/candidate-checks.ts';
import { runBench } from './bench.ts';
import { checkedCases } from './checked-case.ts';

await runBench(
  checkedCases((device) =>
    [32_000, 128_256].flatMap((vocabularySize) =>
      [1, 16].map((numRows) => ({
        name: `argmax ${numRows} × ${vocabularySize}`,
        bytes: 4 * numRows * vocabularySize,
        flops: numRows * vocabularySize,
        makeCheck: () => argmaxCheck(device, { numRows, vocabularySize }),
      })),
    ),
  ),
);
