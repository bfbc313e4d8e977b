// Sum over LANES neighbouring invocations through workgroup memory, for adapters without subgroups of that size.
var<workgroup> partialSums: array<f32, WORKGROUP_SIZE>;

fn sumLanes(value: f32, local: u32) -> f32 {
  partialSums[local] = value;
  workgroupBarrier();
  for (var distance = LANES / 2u; distance > 0u; distance /= 2u) {
    if (local % LANES < distance) {
      partialSums[local] += partialSums[local + distance];
    }
    workgroupBarrier();
  }
  let sum = partialSums[local - local % LANES];
  workgroupBarrier();
  return sum;
}
