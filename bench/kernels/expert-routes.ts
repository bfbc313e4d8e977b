/** The ordering of rows by expert, for one token and for a prompt chunk. */
import { expertRoutesCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { runBench } from './bench.ts';
import { checkedCases } from './checked-case.ts';
import { MIXTURES } from './mixtures.ts';

await runBench(
  checkedCases((device) =>
    MIXTURES.flatMap((mixture) =>
      [1, 16, 512].map((numTokens) => {
        const numRows = numTokens * mixture.expertsPerToken;
        return {
          name: `expert-routes ${numRows} rows over ${mixture.numExperts}`,
          bytes: 2 * numRows * 4,
          flops: 2 * numRows * mixture.numExperts,
          makeCheck: () => expertRoutesCheck(device, { ...mixture, numTokens }),
        };
      }),
    ),
  ),
);
