// Finds the K groups with the greatest maxima by counting, for each, how many are better; one invocation a group.

struct Params {
  numAll: u32, // rows * groups
  vocabularySize: u32,
  numGroups: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> groupMaxima: array<f32>;
@group(0) @binding(1) var<storage, read_write> bestGroups: array<u32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numAll) { return; }
  let row = i / params.numGroups;
  let group = i % params.numGroups;
  let first = row * params.numGroups;
  let maximum = groupMaxima[i];
  var rank = 0u;
  for (var other = 0u; other < params.numGroups; other++) {
    let otherMaximum = groupMaxima[first + other];
    rank += u32(otherMaximum > maximum || (otherMaximum == maximum && other < group));
  }
  if (rank < K) { bestGroups[row * K + rank] = group; }
  if (group > 0u) { return; }
  for (var empty = params.vocabularySize; empty < K; empty++) {
    ids[row * K + empty] = 0xffffffffu;
    values[row * K + empty] = -1e30f;
  }
}
