// y[s] = sum of the rows of segment s; one invocation a segment and column.

struct Params {
  numSegments: u32,
  dim: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> x: array<Act>;
@group(0) @binding(1) var<storage, read> segments: array<vec2u>; // first row, number of rows
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numSegments * params.dim) { return; }
  let segment = segments[i / params.dim];
  let column = i % params.dim;
  var sum = 0f;
  for (var row = segment.x; row < segment.x + segment.y; row++) { sum += f32(x[row * params.dim + column]); }
  y[i] = sum;
}
