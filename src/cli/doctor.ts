/** `firstlight doctor`: what the adapter is, and whether every kernel is right on it. */
import { existsSync } from 'node:fs';
import { GpuDevice } from '../kernels/device.ts';
import type { KvFormat } from '../kernels/kv-format.ts';
import { runSelfTests, type SelfTestResult } from '../kernels/self-test.ts';
import { compareLogits, maxNmseOf } from '../runtime/compare-logits.ts';
import { EngineError } from '../runtime/errors.ts';
import { withProgress } from './progress.ts';
import { localModel } from './pull.ts';

/** Tokens whose logits are compared. */
const COMPARED_TOKENS = 8;

export interface DoctorCommand {
  /** Also compares this model's logits with the CPU's. */
  readonly model: string | undefined;
  readonly adapter: string | undefined;
  /** Of the comparison. */
  readonly kvFormat: 'auto' | KvFormat;
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
 * Prints adapter, features, limits, the self-tests' results and the model's comparison. True: all passed.
 * @throws EngineError adapter_not_found, model_not_found; as `localModel`
 */
export const runDoctor = async ({ model, ...command }: DoctorCommand): Promise<boolean> => {
  if (model === undefined) return checkKernels(command);
  // A name that leads nowhere is said before the kernels take their time.
  const { path } = await localModel(model);
  if (!existsSync(path)) throw new EngineError('model_not_found', `${path}: no such file or folder`);
  const isRight = await checkKernels(command);
  return (await checkModel(model, path, command)) && isRight;
};

const checkModel = async (
  model: string,
  path: string,
  { adapter, kvFormat: wanted, isJson }: Omit<DoctorCommand, 'model'>,
): Promise<boolean> => {
  const comparison = await withProgress(`comparing ${model} with the CPU`, () =>
    compareLogits(path, COMPARED_TOKENS, { kvFormat: wanted, ...(adapter === undefined ? {} : { adapter }) }),
  );
  const { ids, activations, kvFormat, nmse, sameTop1 } = comparison;
  const limit = maxNmseOf(comparison);
  const passed = nmse <= limit;
  if (isJson) console.log(JSON.stringify({ model, ...comparison, passed }, null, 2));
  else {
    console.log(`${passed ? 'pass' : 'FAIL'}  ${model}, activations ${activations}, KV ${kvFormat}`);
    console.log(
      `      NMSE against the CPU ${nmse.toExponential(1)} (rounding explains up to ${limit.toExponential(0)})`,
    );
    console.log(`      same best token at ${sameTop1} of ${ids.length} positions`);
  }
  return passed;
};

const checkKernels = async ({ adapter, isJson }: Pick<DoctorCommand, 'adapter' | 'isJson'>): Promise<boolean> => {
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
