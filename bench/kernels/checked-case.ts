/** Turns a self-test's check into a bench case. */
import type { GpuDevice } from '../../src/kernels/device.ts';
import type { FloatType, KernelCheck } from '../../src/kernels/self-test/kernel-check.ts';
import type { KernelCase, KernelCases } from './bench.ts';

export interface CheckedCase extends Pick<KernelCase, 'name' | 'bytes' | 'flops'> {
  makeCheck(device: GpuDevice): Promise<KernelCheck>;
}

export const BYTES: Readonly<Record<FloatType, number>> = { f32: 4, f16: 2 };

/** Types of activations to time: the narrowest that the device has. */
export const activationType = (device: GpuDevice): FloatType => (device.hasF16 ? 'f16' : 'f32');

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
