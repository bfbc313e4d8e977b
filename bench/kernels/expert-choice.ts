/** The choice of experts, for one token and for a prompt chunk. */
import { expertChoiceCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { runBench } from './bench.ts';
import { checkedCases } from './checked-case.ts';
import { MIXTURES } from './mixtures.ts';

await runBench(
  checkedCases((device) =>
    MIXTURES.flatMap((mixture) =>
      [1, 16, 512].map((numTokens) => ({
        name: `expert-choice ${numTokens} × ${mixture.expertsPerToken} of ${mixture.numExperts}`,
        bytes: numTokens * (mixture.numExperts + 2 * mixture.expertsPerToken) * 4,
        flops: numTokens * mixture.numExperts * mixture.expertsPerToken,
        makeCheck: () => expertChoiceCheck(device, { ...mixture, numTokens, sharesOf: 'chosen' }),
      })),
    ),
  ),
);
