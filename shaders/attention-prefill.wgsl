// Causal attention of a tile of query rows; a workgroup a (tile, head), one invocation a row.

struct Params {
  numTiles: u32,
  stride: u32,
  qColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read> tiles: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4<Out>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = workgroup.x + workgroup.y * numWorkgroups.x;
  let tile = i / NUM_HEADS;
  let head = i % NUM_HEADS;
  if (tile >= params.numTiles || local >= tiles[3u * tile + 2u]) { return; }
  let sequence = tiles[3u * tile];
  let row = tiles[3u * tile + 1u] + local;
  let query = (row * params.stride + params.qColumn) / 4u + head * VECTORS;
  let result = attend(query, head / HEADS_PER_KV, sequence, 0u, positions[row] + 1u);
  let to = (row * NUM_HEADS + head) * VECTORS;
  for (var j = 0u; j < VECTORS; j++) { y[to + j] = vec4<Out>(result.values[j] / result.sum); }
}
