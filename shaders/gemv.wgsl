// y = x · weightᵀ for few tokens: LANES invocations share ROW_TILE weight rows and sum over them at the end.
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
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let tile = (workgroup.x + workgroup.y * grid.x) * (WORKGROUP_SIZE / LANES) + local / LANES;
  let firstRow = tile * ROW_TILE;
  let firstToken = workgroup.z * TOKEN_TILE;
  let octetsPerRow = (params.columns + 7u) / 8u;
  let scaleWordsPerRow = (octetsPerRow + 7u) / 8u;
  var sums: array<array<f32, TOKEN_TILE>, ROW_TILE>;
  for (var octet = lane; octet < octetsPerRow; octet += LANES) {
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
      // Every lane takes part in the sum: it may hold a barrier.
      let sum = sumLanes(sums[r][t], local);
      if (lane == 0u && firstRow + r < params.rows && firstToken + t < params.numTokens) {
        y[(firstToken + t) * params.yStride + params.yColumn + firstRow + r] = Y(sum);
      }
    }
  }
}
