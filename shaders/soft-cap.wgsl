// x = cap * tanh(x / cap) in place; one invocation an element.

struct Params {
  numElements: u32,
  cap: f32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numElements) { return; }
  // Kept where every driver's tanh is finite.
  x[i] = params.cap * tanh(clamp(x[i] / params.cap, -15f, 15f));
}
