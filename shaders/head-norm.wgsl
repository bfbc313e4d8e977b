// Normalises heads in place: x / rms(x) * weight; LANES invocations share a head. Query heads come first, then key heads,
// each kind with a weight of its own.

struct Params {
  numHeads: u32, // of all rows
  stride: u32,
  eps: f32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<Act>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.x + workgroup.y * numWorkgroups.x) * (WORKGROUP_SIZE / LANES) + local / LANES;
  // Heads beyond the last work on it and write nothing: the reduction must be reached by all invocations.
  let source = min(index, params.numHeads - 1u);
  let head = source % NUM_HEADS;
  let first = source / NUM_HEADS * params.stride + head * HEAD_DIM;
  let weightAt = select(0u, HEAD_DIM, head >= NUM_QUERY_HEADS);
  let lane = local % LANES;
  var squares = 0f;
  for (var i = lane; i < HEAD_DIM; i += LANES) {
    let value = f32(x[first + i]);
    squares += value * value;
  }
  let factor = inverseSqrt(reduceSum(squares, local) / f32(HEAD_DIM) + params.eps);
  if (index >= params.numHeads) { return; }
  for (var i = lane; i < HEAD_DIM; i += LANES) {
    x[first + i] = Act(f32(x[first + i]) * factor * weight[weightAt + i]);
  }
}
