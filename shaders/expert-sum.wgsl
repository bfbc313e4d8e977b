// y = Σ share · x over a token's experts; one invocation an element.

struct Params {
  numElements: u32,
  dim: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> x: array<In>;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Act>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numElements) { return; }
  let firstRow = i / params.dim * EXPERTS_PER_TOKEN;
  var sum = 0f;
  for (var slot = 0u; slot < EXPERTS_PER_TOKEN; slot++) {
    sum += shares[firstRow + slot] * f32(x[(firstRow + slot) * params.dim + i % params.dim]);
  }
  y[i] = Act(sum);
}
