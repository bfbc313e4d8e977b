/** Devices for kernel tests: the adapter as it is, and without each feature that has a fallback. */
import { type DeviceOptions, GpuDevice } from '../../src/kernels/device.ts';

/** Name and options of every device variant that a kernel must be right on. */
export const DEVICE_VARIANTS: readonly (readonly [name: string, options: DeviceOptions])[] = [
  ['all features', {}],
  ['without f16', { without: ['shader-f16'] }],
  ['without subgroups', { without: ['subgroups'] }],
  [
    "WebGPU's default limits, no features",
    { without: ['shader-f16', 'subgroups', 'timestamp-query'], limits: 'default' },
  ],
];

const devices = new Map<DeviceOptions, Promise<GpuDevice>>();

/** One device a variant and test file; the process's end frees it. */
export const openVariant = (options: DeviceOptions): Promise<GpuDevice> => {
  let device = devices.get(options);
  if (!device) {
    device = GpuDevice.open(options);
    devices.set(options, device);
  }
  return device;
};
