// y = x · weightᵀ without barriers: one invocation owns ROW_TILE weight rows × TOKEN_TILE token rows in registers.
// For software adapters, where barriers and lanes cost more than they save.
struct Params {
  rows: u32,
  columns: u32,
  numTokens: u32,
  yStride: u32,
  yColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(5) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let firstRow = id.x * ROW_TILE;
  let firstToken = id.y * TOKEN_TILE;
  if (firstRow >= params.rows) {
    return;
  }
  let octetsPerRow = (params.columns + 7u) / 8u;
  let scaleWordsPerRow = (octetsPerRow + 7u) / 8u;
  var sums: array<array<f32, TOKEN_TILE>, ROW_TILE>;
  for (var octet = 0u; octet < octetsPerRow; octet++) {
    var activations: array<mat2x4f, TOKEN_TILE>;
    for (var t = 0u; t < TOKEN_TILE; t++) {
      activations[t] = loadActivations(min(firstToken + t, params.numTokens - 1u), octet);
    }
    for (var r = 0u; r < ROW_TILE; r++) {
      let row = min(firstRow + r, params.rows - 1u);
      let quants = loadQuants(row * octetsPerRow + octet);
      let scale = loadScale(row * scaleWordsPerRow, octet);
      for (var t = 0u; t < TOKEN_TILE; t++) {
        sums[r][t] += scale * (dot(quants[0], activations[t][0]) + dot(quants[1], activations[t][1]));
      }
    }
  }
  for (var r = 0u; r < ROW_TILE; r++) {
    for (var t = 0u; t < TOKEN_TILE; t++) {
      if (firstRow + r < params.rows && firstToken + t < params.numTokens) {
        y[(firstToken + t) * params.yStride + params.yColumn + firstRow + r] = Y(sums[r][t]);
      }
    }
  }
}
