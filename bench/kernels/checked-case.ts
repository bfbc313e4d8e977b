/** Turns a self-test's check into a bench case. */
import type { GpuDevice } from '../../src/kernels/device.ts';
import { isQuantized, KV_FORMATS, type KvFormat, kvBlockBytes } from '../../src/kernels/kv-format.ts';
import type { FloatType, KernelCheck } from '../../src/kernels/self-test/kernel-check.ts';
import type { KernelCase, KernelCases } from './bench.ts';

export interface CheckedCase extends Pick<KernelCase, 'name' | 'bytes' | 'flops'> {
  makeCheck(device: GpuDevice): Promise<KernelCheck>;
}

export const BYTES: Readonly<Record<FloatType, number>> = { f32: 4, f16: 2 };

/** Types of activations to time: the narrowest that the device has. */
export const activationType = (device: GpuDevice): FloatType => (device.hasF16 ? 'f16' : 'f32');

/** Formats of the cache to time: the activations' own, and the quantized ones. */
export const kvFormats = (device: GpuDevice): KvFormat[] =>
  KV_FORMATS.filter((format) => isQuantized(format) || format === activationType(device));

/** Bytes of a token's K and V in one layer. */
export const kvTokenBytes = (format: KvFormat, heads: { readonly numKvHeads: number; readonly headDim: number }) =>
  (2 * kvBlockBytes(format, { ...heads, blockSize: 16 })) / 16;

export const checkedCases = (list: (device: GpuDevice) => readonly CheckedCase[]): KernelCases =>
  async function* casesOfChecks(device, accepts) {
    for (const { makeCheck, ...cost } of list(device)) {
      if (accepts(cost.name)) yield { ...cost, ...bound(await makeCheck(device)) };
    }
  };

const bound = (check: KernelCheck) => ({
  record: (pass: GPUComputePassEncoder) => check.record(pass),
  error: () => check.error(),
  maxError: check.maxError,
  close: () => check.close(),
});
