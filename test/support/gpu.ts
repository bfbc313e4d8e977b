/** Devices for kernel tests: the adapter as it is, without each feature that has a fallback, and a second implementation. */
import { existsSync } from 'node:fs';
import { type DeviceOptions, GpuDevice } from '../../src/kernels/device.ts';

// Debian's chromium brings SwiftShader along: subgroups of four, no f16. Elsewhere, name its driver file.
const SWIFTSHADER_DRIVER = process.env.FIRSTLIGHT_SWIFTSHADER ?? '/usr/lib/chromium/vk_swiftshader_icd.json';
const SWIFTSHADER: DeviceOptions = { adapter: 'SwiftShader' };

/** Name and options of every device variant that a kernel must be right on. */
export const DEVICE_VARIANTS: readonly (readonly [name: string, options: DeviceOptions])[] = [
  ['all features', {}],
  ['without f16', { without: ['shader-f16'] }],
  ['without subgroups', { without: ['subgroups'] }],
  [
    "WebGPU's default limits, no features",
    { without: ['shader-f16', 'subgroups', 'timestamp-query'], limits: 'default' },
  ],
  ...(existsSync(SWIFTSHADER_DRIVER) ? [['SwiftShader', SWIFTSHADER] as const] : []),
];

const devices = new Map<DeviceOptions, Promise<GpuDevice>>();

/** One device a variant and test file; the process's end frees it. */
export const openVariant = (options: DeviceOptions): Promise<GpuDevice> => {
  let device = devices.get(options);
  if (!device) {
    device = options === SWIFTSHADER ? openSwiftShader() : GpuDevice.open(options);
    devices.set(options, device);
  }
  return device;
};

/** The loader sees the driver only while this device is opened, so that the others stay what they are. */
const openSwiftShader = async (): Promise<GpuDevice> => {
  process.env.VK_ADD_DRIVER_FILES = SWIFTSHADER_DRIVER;
  try {
    return await GpuDevice.open(SWIFTSHADER);
  } finally {
    delete process.env.VK_ADD_DRIVER_FILES;
  }
};
