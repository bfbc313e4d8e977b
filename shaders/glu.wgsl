// y = activation(gate) * up; one invocation an element.

struct Params {
  numElements: u32,
  dim: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> gateUp: array<In>;
@group(0) @binding(1) var<storage, read_write> y: array<Act>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numElements) { return; }
  let gateAt = i / params.dim * (2u * params.dim) + i % params.dim;
  y[i] = Act(gated(f32(gateUp[gateAt]), f32(gateUp[gateAt + params.dim])));
}
