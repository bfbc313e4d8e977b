// Multiplies every SIZE neighbouring columns of some heads by the orthonormal Hadamard matrix, in place; an invocation each.

struct Params {
  numParts: u32, // of all rows
  stride: u32,
  column: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<Act>;

const QUADS = SIZE / 4u;

fn quadAt(column: u32) -> vec4f {
  return vec4f(f32(x[column]), f32(x[column + 1u]), f32(x[column + 2u]), f32(x[column + 3u]));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numParts) { return; }
  let first = i / PARTS_PER_ROW * params.stride + params.column + i % PARTS_PER_ROW * SIZE;
  var quads: array<vec4f, QUADS>;
  for (var j = 0u; j < QUADS; j++) {
    let quad = quadAt(first + 4u * j) * inverseSqrt(f32(SIZE));
    let pairs = vec4f(quad.x + quad.y, quad.x - quad.y, quad.z + quad.w, quad.z - quad.w);
    quads[j] = vec4f(pairs.xy + pairs.zw, pairs.xy - pairs.zw);
  }
  for (var span = 1u; span < QUADS; span *= 2u) {
    for (var pair = 0u; pair < QUADS / 2u; pair++) {
      let j = pair / span * 2u * span + pair % span;
      let sum = quads[j] + quads[j + span];
      quads[j + span] = quads[j] - quads[j + span];
      quads[j] = sum;
    }
  }
  for (var j = 0u; j < SIZE; j++) { x[first + j] = Act(quads[j / 4u][j % 4u]); }
}
