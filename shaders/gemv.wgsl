// y = x · weightᵀ for few tokens: LANES invocations share ROW_TILE weight rows and sum over them at the end.
struct Params {
  rows: u32,
  columns: u32,
  numTokens: u32,
  yStride: u32,
  yColumn: u32,
  firstRow: u32, // of the shard, among all experts' rows
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
  let tokens = tokensAt(workgroup.z, TOKEN_TILE);
  if (isEmpty(tokens)) { return; }
  let numBlocks = (params.columns + 31u) / 32u;
  let numChunks = numBlocks * (8u / CHUNK_QUADS);
  var sums: array<array<f32, TOKEN_TILE>, ROW_TILE>;
  for (var chunk = lane; chunk < numChunks; chunk += LANES) {
    var chunks: array<Chunk, ROW_TILE>;
    var scales: array<f32, ROW_TILE>;
    for (var r = 0u; r < ROW_TILE; r++) {
      let row = weightRowOf(tokens, firstRow + r);
      chunks[r] = loadChunk(row * numChunks + chunk);
      scales[r] = loadScale(row, numBlocks, chunk * CHUNK_QUADS / 8u);
    }
    // Dawn zeroes a variable declared in a loop only once unless told so.
    var partial = array<array<f32, TOKEN_TILE>, ROW_TILE>();
    for (var place = 0u; place < CHUNK_QUADS; place++) {
      var activations: array<vec4f, TOKEN_TILE>;
      for (var t = 0u; t < TOKEN_TILE; t++) {
        activations[t] = loadQuad(xRowOf(tokens, t), chunk * CHUNK_QUADS + place);
      }
      for (var r = 0u; r < ROW_TILE; r++) {
        let weights = decodeQuad(chunks[r], place);
        for (var t = 0u; t < TOKEN_TILE; t++) {
          partial[r][t] += dot(weights, activations[t]);
        }
      }
    }
    for (var r = 0u; r < ROW_TILE; r++) {
      for (var t = 0u; t < TOKEN_TILE; t++) {
        sums[r][t] += scales[r] * partial[r][t];
      }
    }
  }
  for (var r = 0u; r < ROW_TILE; r++) {
    for (var t = 0u; t < TOKEN_TILE; t++) {
      // Every lane takes part in the sum: it may hold a barrier.
      let sum = sumLanes(sums[r][t], local);
      let row = firstRow + r;
      if (lane == 0u && t < tokens.count && hasWeight(tokens, row)) {
        let to = yRowOf(tokens, t) * params.yStride + params.yColumn + row;
        y[to] = Y(sum + biasOf(biasAt(tokens, row)));
      }
    }
  }
}
