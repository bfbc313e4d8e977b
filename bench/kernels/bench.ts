/**
 * Times kernels: checks each against its reference, then reports p50 and p95, GB/s and GFLOP/s with the share of what this
 * device reaches in the same run, and the time to compile. A table goes to stderr, a JSON line a case to stdout.
 *
 *     npx tsx bench/kernels/<name>.ts [--adapter NAME] [--only TEXT] [--seconds 1]
 */
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { GpuDevice } from '../../src/kernels/device.ts';
import { compileRecords } from '../../src/kernels/kernel.ts';
import { measurePeak, type Peak } from './peak.ts';

export interface KernelCase {
  /** Kernel, format and shape: `gemv q8_0 1 × 32000 × 288`. */
  readonly name: string;
  /** Bytes a dispatch must at least read and write. */
  readonly bytes: number;
  /** Floating-point operations a dispatch must at least do; a multiply-add is two. */
  readonly flops: number;
  /** Records the kernel once. Everything it needs is compiled and bound. */
  record(pass: GPUComputePassEncoder): void;
  /** NMSE of what one `record` left behind against the float64 reference. */
  error(): Promise<number>;
  readonly maxError: number;
  /** Frees the case's buffers. */
  close(): void;
}

/** Makes the cases one by one, so that only one holds memory. */
export type KernelCases = (device: GpuDevice, accepts: (name: string) => boolean) => AsyncIterable<KernelCase>;

/** A pass repeats its kernel until it lasts this long: timestamps are coarse and a submit costs tens of microseconds. */
const MIN_PASS_MS = 20;
const MAX_REPEATS = 1000;

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;

/** Milliseconds of one pass that records the kernel `repeats` times, by timestamps where the device has them. */
export const timePass = async (
  device: GpuDevice,
  record: (pass: GPUComputePassEncoder) => void,
  repeats: number,
): Promise<number> => {
  const gpu = device.device;
  const querySet = device.hasTimestamps ? gpu.createQuerySet({ type: 'timestamp', count: 2 }) : undefined;
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass(
    querySet && { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
  );
  for (let i = 0; i < repeats; i++) record(pass);
  pass.end();
  const resolved = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  const start = performance.now();
  gpu.queue.submit([encoder.finish()]);
  await device.settled(gpu.queue.onSubmittedWorkDone());
  let milliseconds = performance.now() - start;
  if (querySet) {
    const [begin, end] = new BigUint64Array(await device.read(resolved));
    milliseconds = Number(end! - begin!) / 1e6;
    querySet.destroy();
  }
  resolved.destroy();
  return milliseconds;
};

const measure = async (device: GpuDevice, kernel: KernelCase, seconds: number) => {
  const first = await wallOfOne(device, kernel);
  const error = await kernel.error();
  if (!(error <= kernel.maxError)) {
    throw new Error(`${kernel.name}: NMSE ${error} is above ${kernel.maxError}; a wrong kernel is not timed`);
  }
  const once = await wallOfOne(device, kernel);
  const repeats = Math.max(1, Math.min(MAX_REPEATS, Math.ceil(MIN_PASS_MS / once)));
  const bench = new Bench({
    time: seconds * 1000,
    iterations: 5,
    warmupTime: 200,
    warmupIterations: 2,
    retainSamples: true,
  });
  bench.add(kernel.name, async () => ({
    overriddenDuration: await timePass(device, kernel.record, repeats),
  }));
  const [task] = await bench.run();
  const result = task!.result;
  if (!('latency' in result) || !result.latency.samples) throw new Error(`${kernel.name}: no samples`);
  const samples = [...result.latency.samples].sort((a, b) => a - b).map((ms) => ms / repeats);
  return {
    p50: percentile(samples, 0.5),
    p95: percentile(samples, 0.95),
    numSamples: samples.length,
    repeats,
    error,
    firstMs: Math.max(0, first - once),
  };
};

const wallOfOne = async (device: GpuDevice, kernel: KernelCase): Promise<number> => {
  const start = performance.now();
  const encoder = device.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  kernel.record(pass);
  pass.end();
  device.device.queue.submit([encoder.finish()]);
  await device.settled(device.device.queue.onSubmittedWorkDone());
  return performance.now() - start;
};

const report = (
  kernel: KernelCase,
  result: Awaited<ReturnType<typeof measure>>,
  compileMs: number,
  peak: Peak,
): void => {
  const gigabytesPerSecond = kernel.bytes / result.p50 / 1e6;
  const gigaflops = kernel.flops / result.p50 / 1e6;
  const share = (value: number, best: number) =>
    `${value.toFixed(1).padStart(8)} (${((100 * value) / best).toFixed(0).padStart(3)}%)`;
  console.error(
    `${kernel.name.padEnd(40)} p50 ${result.p50.toFixed(4).padStart(9)} ms  p95 ${result.p95.toFixed(4).padStart(9)} ms  ` +
      `${share(gigabytesPerSecond, peak.gigabytesPerSecond)} GB/s  ${share(gigaflops, peak.gigaflops)} GFLOP/s  ` +
      `compile ${compileMs.toFixed(0).padStart(5)} ms  NMSE ${result.error.toExponential(1)}`,
  );
  const { p50, p95, numSamples, repeats, error } = result;
  console.log(
    JSON.stringify({
      name: kernel.name,
      p50Ms: p50,
      p95Ms: p95,
      numSamples,
      repeats,
      gigabytesPerSecond,
      gigaflops,
      peak,
      compileMs,
      nmse: error,
    }),
  );
};

/** Runs the cases on the device named on the command line. Exits with an error when one is wrong. */
export const runBench = async (cases: KernelCases): Promise<void> => {
  const { values } = parseArgs({
    options: { adapter: { type: 'string' }, only: { type: 'string' }, seconds: { type: 'string', default: '1' } },
  });
  const device = await GpuDevice.open({
    checks: 'none',
    ...(values.adapter === undefined ? {} : { adapter: values.adapter }),
  });
  const peak = await measurePeak(device);
  console.error(
    `${device.description}\nmeasured peak: ${peak.gigabytesPerSecond.toFixed(1)} GB/s copy, ${peak.gigaflops.toFixed(1)} GFLOP/s multiply-add; ` +
      `times by ${device.hasTimestamps ? 'GPU timestamps' : 'wall clock'}`,
  );
  let numCompiled = compileRecords.length;
  for await (const kernel of cases(device, (name) => name.includes(values.only ?? ''))) {
    const result = await measure(device, kernel, Number(values.seconds));
    const compileMs =
      result.firstMs + compileRecords.slice(numCompiled).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    numCompiled = compileRecords.length;
    report(kernel, result, compileMs, peak);
    kernel.close();
  }
  device.close();
};
