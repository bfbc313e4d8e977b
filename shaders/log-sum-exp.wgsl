// log Σ exp over a row, from its groups' maxima and sums; LANES invocations a row.

struct Params {
  numRows: u32,
  numGroups: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> groupMaxima: array<f32>;
@group(0) @binding(1) var<storage, read> groupSums: array<f32>;
@group(0) @binding(2) var<storage, read_write> logSumExp: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  let first = min(row, params.numRows - 1u) * params.numGroups;
  let lane = local % LANES;
  var laneMaximum = -1e30f;
  for (var group = lane; group < params.numGroups; group += LANES) {
    laneMaximum = max(laneMaximum, groupMaxima[first + group]);
  }
  let maximum = reduceMax(laneMaximum, local);
  var laneSum = 0f;
  for (var group = lane; group < params.numGroups; group += LANES) {
    laneSum += groupSums[first + group] * exp(max(groupMaxima[first + group] - maximum, -87f));
  }
  let sum = reduceSum(laneSum, local);
  if (row < params.numRows && lane == 0u) { logSumExp[row] = maximum + log(sum); }
}
