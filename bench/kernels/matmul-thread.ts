/** The barrier-free variant alone, at both of its tile sizes: run it on a software adapter. */
import { runBench } from './bench.ts';
import { matmulCases } from './matmul-cases.ts';

await runBench(matmulCases('matmul-thread', [1, 16]));
