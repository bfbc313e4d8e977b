// Reductions over a whole workgroup (LANES = WORKGROUP_SIZE): each subgroup in hardware, then their results through
// workgroup memory. Call them in uniform control flow; every invocation gets the result.
// A subgroup's lanes are taken to be neighbours, and there are at most WORKGROUP_SIZE / 4 subgroups.

var<workgroup> subgroupResults: array<f32, WORKGROUP_SIZE / 4u>;
var<workgroup> subgroupResultsU32: array<u32, WORKGROUP_SIZE / 4u>;

fn reduceSum(value: f32, local: u32) -> f32 {
  let size = subgroupAdd(1u);
  let partial = subgroupAdd(value);
  if (subgroupElect()) { subgroupResults[local / size] = partial; }
  workgroupBarrier();
  var result = subgroupResults[0];
  for (var i = 1u; i < WORKGROUP_SIZE / size; i++) { result += subgroupResults[i]; }
  workgroupBarrier();
  return result;
}

fn reduceMax(value: f32, local: u32) -> f32 {
  let size = subgroupAdd(1u);
  let partial = subgroupMax(value);
  if (subgroupElect()) { subgroupResults[local / size] = partial; }
  workgroupBarrier();
  var result = subgroupResults[0];
  for (var i = 1u; i < WORKGROUP_SIZE / size; i++) { result = max(result, subgroupResults[i]); }
  workgroupBarrier();
  return result;
}

fn reduceMin(value: u32, local: u32) -> u32 {
  let size = subgroupAdd(1u);
  let partial = subgroupMin(value);
  if (subgroupElect()) { subgroupResultsU32[local / size] = partial; }
  workgroupBarrier();
  var result = subgroupResultsU32[0];
  for (var i = 1u; i < WORKGROUP_SIZE / size; i++) { result = min(result, subgroupResultsU32[i]); }
  workgroupBarrier();
  return result;
}
