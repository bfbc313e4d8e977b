// The greatest logit of each of a row's NUM_PARTS parts, with its id (2³² − 1: none); LANES invocations share a part.

struct Params {
  numRows: u32,
  vocabularySize: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> partValues: array<f32>;
@group(0) @binding(2) var<storage, read_write> partIds: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let part = (workgroup.x + workgroup.y * numWorkgroups.x) * (WORKGROUP_SIZE / LANES) + local / LANES;
  let inBatch = part < params.numRows * NUM_PARTS;
  let row = min(part / NUM_PARTS, params.numRows - 1u);
  let lane = local % LANES;
  // Finite, because relaxed arithmetic may drop infinities; NaN is never greater.
  var best = -1e30f;
  var bestId = 0xffffffffu;
  for (var id = part % NUM_PARTS * LANES + lane; id < params.vocabularySize; id += NUM_PARTS * LANES) {
    let value = logits[row * params.vocabularySize + id];
    if (value > best) {
      best = value;
      bestId = id;
    }
  }
  let greatest = reduceMax(best, local);
  let lowestId = reduceMin(select(0xffffffffu, bestId, best == greatest), local);
  if (inBatch && lane == 0u) {
    partValues[part] = greatest;
    partIds[part] = lowestId;
  }
}
