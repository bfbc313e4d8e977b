// Reductions over a whole workgroup (LANES = WORKGROUP_SIZE, a power of two) by a tree in workgroup memory.
// Call them in uniform control flow; every invocation gets the result.

var<workgroup> reductionTree: array<f32, WORKGROUP_SIZE>;
var<workgroup> reductionTreeU32: array<u32, WORKGROUP_SIZE>;

fn reduceSum(value: f32, local: u32) -> f32 {
  reductionTree[local] = value;
  workgroupBarrier();
  for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
    if (local < width) { reductionTree[local] += reductionTree[local + width]; }
    workgroupBarrier();
  }
  let result = reductionTree[0];
  workgroupBarrier();
  return result;
}

fn reduceMax(value: f32, local: u32) -> f32 {
  reductionTree[local] = value;
  workgroupBarrier();
  for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
    if (local < width) { reductionTree[local] = max(reductionTree[local], reductionTree[local + width]); }
    workgroupBarrier();
  }
  let result = reductionTree[0];
  workgroupBarrier();
  return result;
}

fn reduceMin(value: u32, local: u32) -> u32 {
  reductionTreeU32[local] = value;
  workgroupBarrier();
  for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
    if (local < width) { reductionTreeU32[local] = min(reductionTreeU32[local], reductionTreeU32[local + width]); }
    workgroupBarrier();
  }
  let result = reductionTreeU32[0];
  workgroupBarrier();
  return result;
}
