// Partial attention of one query head over SPLIT_KEYS keys; one invocation a (row, split, head).
// A partial is HEAD_DIM unnormalised values, then their maximum score and sum.

struct Params {
  numParts: u32, // rows * splits * heads
  numSplits: u32,
  stride: u32,
  qColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(5) var<storage, read> contextLengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let part = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (part >= params.numParts) { return; }
  let head = part % NUM_HEADS;
  let split = part / NUM_HEADS % params.numSplits;
  let row = part / (NUM_HEADS * params.numSplits);
  let first = split * SPLIT_KEYS;
  let end = min(first + SPLIT_KEYS, contextLengths[row]);
  if (first >= end) { return; }
  let query = (row * params.stride + params.qColumn) / 4u + head * VECTORS;
  let result = attend(query, head / HEADS_PER_KV, row, first, end);
  let to = ((row * NUM_HEADS + head) * params.numSplits + split) * (HEAD_DIM + 2u);
  for (var i = 0u; i < VECTORS; i++) {
    let values = result.values[i];
    for (var j = 0u; j < 4u; j++) { partials[to + 4u * i + j] = values[j]; }
  }
  partials[to + HEAD_DIM] = result.maximum;
  partials[to + HEAD_DIM + 1u] = result.sum;
}
