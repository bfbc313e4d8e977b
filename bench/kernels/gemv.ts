/** Matrix–vector products: what a decode step of one sequence, or a few, is made of. */
import { runBench } from './bench.ts';
import { matmulCases } from './matmul-cases.ts';

await runBench(matmulCases('gemv', [1, 4]));
