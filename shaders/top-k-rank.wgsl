// Places the K best logits of a row's best groups by counting, for each, how many are better; one invocation a logit.

struct Params {
  numAll: u32, // rows * best groups * group size
  vocabularySize: u32,
  groupSize: u32,
  numGroups: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> groupMaxima: array<f32>;
@group(0) @binding(2) var<storage, read> bestGroups: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;

fn logitAt(at: u32) -> f32 {
  let logit = logits[at];
  return select(-1e30f, logit, logit > -1e30f); // NaN too
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numAll) { return; }
  let numBest = min(K, params.numGroups);
  let row = i / (numBest * params.groupSize);
  let rowLogits = row * params.vocabularySize;
  let id = bestGroups[row * K + i / params.groupSize % numBest] * params.groupSize + i % params.groupSize;
  if (id >= params.vocabularySize) { return; }
  let logit = logitAt(rowLogits + id);
  // K groups reach the K-th best group's maximum, so nothing below it is among the K best.
  let lastMaximum = groupMaxima[row * params.numGroups + bestGroups[row * K + numBest - 1u]];
  if (numBest == K && logit < lastMaximum) { return; }
  var rank = 0u;
  for (var best = 0u; best < numBest && rank < K; best++) {
    let first = bestGroups[row * K + best] * params.groupSize;
    let end = min(first + params.groupSize, params.vocabularySize);
    for (var other = first; other < end; other++) {
      let otherLogit = logitAt(rowLogits + other);
      rank += u32(otherLogit > logit || (otherLogit == logit && other < id));
    }
  }
  if (rank >= K) { return; }
  ids[row * K + rank] = id;
  values[row * K + rank] = logit;
}
