/** `firstlight doctor`: what the adapter is, and whether every kernel is right on it. */
import { GpuDevice } from '../kernels/device.ts';
import { runSelfTests, type SelfTestResult } from '../kernels/self-test.ts';

export interface DoctorCommand {
  readonly adapter: string | undefined;
  readonly isJson: boolean;
}

const SHOWN_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const;

/**
 * Prints adapter, features, limits and the self-tests' results. True: every kernel passed.
 * @throws EngineError adapter_not_found
 */
export const runDoctor = async ({ adapter, isJson }: DoctorCommand): Promise<boolean> => {
  const device = await GpuDevice.open(adapter === undefined ? {} : { adapter });
  try {
    const description = describe(device);
    if (!isJson) printAdapter(description);
    const results: SelfTestResult[] = [];
    for await (const result of runSelfTests(device)) {
      results.push(result);
      if (!isJson) printResult(result);
    }
    const passed = results.filter((result) => result.passed).length;
    if (isJson) console.log(JSON.stringify({ ...description, kernels: results }, null, 2));
    else console.log(`\n${passed} of ${results.length} checks pass`);
    return passed === results.length;
  } finally {
    device.close();
  }
};

const printResult = ({ kernel, variant, passed, nmse, error }: SelfTestResult): void => {
  const outcome = error ?? `NMSE ${nmse.toExponential(1)}`;
  console.log(`${passed ? 'pass' : 'FAIL'}  ${kernel.padEnd(18)} ${variant.padEnd(20)} ${outcome}`);
};

const describe = (device: GpuDevice) => ({
  adapter: device.name,
  description: device.description,
  isSoftware: device.isSoftware,
  platform: `${process.platform}-${process.arch}`,
  node: process.versions.node,
  features: {
    'shader-f16': device.hasF16,
    subgroups: device.hasSubgroups,
    'timestamp-query': device.hasTimestamps,
  },
  subgroupSize: { min: device.subgroupMinSize, max: device.subgroupMaxSize },
  limits: Object.fromEntries(SHOWN_LIMITS.map((limit) => [limit, device.limits[limit]])),
});

const printAdapter = ({
  adapter,
  description,
  platform,
  node,
  features,
  subgroupSize,
  limits,
}: ReturnType<typeof describe>) => {
  const { min, max } = subgroupSize;
  console.log(`adapter   ${adapter}`);
  console.log(`driver    ${description}`);
  console.log(`platform  ${platform}, Node ${node}`);
  for (const [feature, isThere] of Object.entries(features)) {
    const size = feature === 'subgroups' && isThere ? ` (${min === max ? min : `${min} to ${max}`} lanes)` : '';
    console.log(`feature   ${feature}: ${isThere ? 'yes' : 'no'}${size}`);
  }
  for (const [limit, value] of Object.entries(limits)) console.log(`limit     ${limit}: ${value}`);
  console.log('');
};
