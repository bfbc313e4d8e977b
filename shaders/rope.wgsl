// Rotates NUM_PAIRS pairs of each head in place; one invocation a pair.

struct Params {
  numPairs: u32,
  stride: u32,
  column: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<Act>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec2f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numPairs) { return; }
  let pair = i % NUM_PAIRS;
  let head = i / NUM_PAIRS % NUM_HEADS;
  let row = i / (NUM_PAIRS * NUM_HEADS);
  let start = row * params.stride + params.column + head * HEAD_DIM;
  let first = start + select(pair, 2u * pair, INTERLEAVED);
  let second = first + select(NUM_PAIRS, 1u, INTERLEAVED);
  let turn = table[positions[row] * NUM_PAIRS + pair];
  let a = f32(x[first]);
  let b = f32(x[second]);
  x[first] = Act(a * turn.x - b * turn.y);
  x[second] = Act(b * turn.x + a * turn.y);
}
