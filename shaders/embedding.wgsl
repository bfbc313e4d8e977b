// Gathers rows of a weight shard by token id: one invocation per eight values. An id beyond the matrix gives zeros.
struct Params {
  columns: u32,
  numTokens: u32,
  rowStart: u32,
  rowEnd: u32,
  vocabularySize: u32,
  scale: f32,
}
var<immediate> params: Params;

@group(0) @binding(4) var<storage, read> tokenIds: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let octetsPerRow = (params.columns + 7u) / 8u;
  let index = invocation.x + invocation.y * grid.x * 64u;
  let token = index / octetsPerRow;
  let octet = index % octetsPerRow;
  if (token >= params.numTokens) {
    return;
  }
  let id = tokenIds[token];
  let isUnknown = id >= params.vocabularySize;
  if (id < params.rowStart || id >= params.rowEnd) {
    // Another shard has this row; the first one answers for ids that no shard has.
    if (!(isUnknown && params.rowStart == 0u)) {
      return;
    }
  }
  var values = mat2x4f();
  if (!isUnknown) {
    let row = id - params.rowStart;
    let scale = params.scale * loadScale(row * ((octetsPerRow + 7u) / 8u), octet);
    values = scale * loadQuants(row * octetsPerRow + octet);
  }
  let at = token * params.columns + octet * 8u;
  for (var i = 0u; i < min(8u, params.columns - octet * 8u); i++) {
    y[at + i] = values[i / 4u][i % 4u];
  }
}
