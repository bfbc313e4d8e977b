/** Matrix products with many tokens: prefill, and decode steps of many sequences. */
import { runBench } from './bench.ts';
import { matmulCases } from './matmul-cases.ts';

await runBench(matmulCases('gemm', [16, 128]));
