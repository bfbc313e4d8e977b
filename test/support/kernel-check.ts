/** Asserts that a kernel agrees with its reference. */
import { expect } from 'vitest';
import type { GpuDevice } from '../../src/kernels/device.ts';
import { type FloatType, type KernelCheck, runCheck } from '../../src/kernels/self-test/kernel-check.ts';

export const expectRight = async (device: GpuDevice, check: Promise<KernelCheck>): Promise<void> => {
  const made = await check;
  expect(await runCheck(device, made)).toBeLessThanOrEqual(made.maxError);
};

/** What activations may be on the device. */
export const floatTypes = (device: GpuDevice): readonly FloatType[] => (device.hasF16 ? ['f32', 'f16'] : ['f32']);
