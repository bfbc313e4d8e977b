/** The sum over a token's experts, for one token and for a prompt chunk. */
import { expertSumCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { runBench } from './bench.ts';
import { activationType, BYTES, checkedCases } from './checked-case.ts';
import { MIXTURES } from './mixtures.ts';

await runBench(
  checkedCases((device) =>
    MIXTURES.flatMap(({ expertsPerToken, dim }) =>
      [1, 16, 512].map((numTokens) => {
        const activations = activationType(device);
        return {
          name: `expert-sum ${activations} ${numTokens} × ${expertsPerToken} × ${dim}`,
          bytes: numTokens * (expertsPerToken + 1) * dim * BYTES[activations],
          flops: 2 * numTokens * expertsPerToken * dim,
          makeCheck: () => expertSumCheck(device, { numTokens, expertsPerToken, dim, activations }),
        };
      }),
    ),
  ),
);
