// Maximum, and sum of exp(logit − maximum), of each group of neighbouring ids; one invocation a group.

struct Params {
  numAll: u32, // rows * groups
  vocabularySize: u32,
  groupSize: u32,
  numGroups: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> groupMaxima: array<f32>;
@group(0) @binding(2) var<storage, read_write> groupSums: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numAll) { return; }
  let row = i / params.numGroups * params.vocabularySize;
  let first = i % params.numGroups * params.groupSize;
  let end = row + min(first + params.groupSize, params.vocabularySize);
  var maximum = -1e30f;
  for (var at = row + first; at < end; at++) {
    let value = logits[at];
    if (value > maximum) { maximum = value; }
  }
  var sum = 0f;
  for (var at = row + first; at < end; at++) {
    let value = logits[at];
    if (value > -1e30f) { sum += exp(max(value - maximum, -87f)); }
  }
  groupMaxima[i] = maximum;
  groupSums[i] = sum;
}
