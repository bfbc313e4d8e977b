/** How the invocations of a workgroup add up: alone, through workgroup memory, or through subgroups. */
import type { GpuDevice } from './device.ts';

export type ReductionName = 'serial' | 'workgroup' | 'subgroup';

export interface Reduction {
  readonly name: ReductionName;
  /** Shader files that give `reduceSum` and its kind over LANES neighbouring invocations. */
  readonly uses: readonly string[];
  readonly constants: { readonly WORKGROUP_SIZE: number; readonly LANES: number };
  /** Groups of LANES invocations a workgroup has. */
  readonly groupsPerWorkgroup: number;
}

const reduction = (name: ReductionName, workgroupSize: number, lanes: number): Reduction => ({
  name,
  uses: [`lib/reduce-${name}`],
  constants: { WORKGROUP_SIZE: workgroupSize, LANES: lanes },
  groupsPerWorkgroup: workgroupSize / lanes,
});

/** Each invocation works for itself, without a barrier: a software adapter pays for barriers when it compiles. */
export const SERIAL = reduction('serial', 16, 1);
export const WORKGROUP = reduction('workgroup', 256, 256);
export const SUBGROUP = reduction('subgroup', 256, 256);

/** The reduction that suits the device. */
export const pickReduction = (device: GpuDevice): Reduction => {
  if (device.isSoftware) return SERIAL;
  return device.hasSubgroups ? SUBGROUP : WORKGROUP;
};

/** Every reduction the device can run: what tests and self-tests go through. */
export const availableReductions = (device: GpuDevice): readonly Reduction[] =>
  device.hasSubgroups ? [SERIAL, WORKGROUP, SUBGROUP] : [SERIAL, WORKGROUP];
