// y = x · weightᵀ without barriers: one invocation owns ROW_TILE weight rows × TOKEN_TILE token rows in registers.
// For software adapters, where a load costs far more than arithmetic and barriers more than both.
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

struct Tile {
  sums: array<array<f32, TOKEN_TILE>, ROW_TILE>,
  // Of the current block of 32.
  scales: array<f32, ROW_TILE>,
  activations: array<vec4f, TOKEN_TILE>,
  chunks: array<Chunk, ROW_TILE>,
}

fn rowOf(tokens: Tokens, first: u32, r: u32) -> u32 {
  return weightRowOf(tokens, first + r * LANES);
}

fn addQuad(tile: ptr<function, Tile>, tokens: Tokens, firstRow: u32, block: u32, place: u32) {
  let numBlocks = (params.columns + 31u) / 32u;
  if (place % CHUNK_QUADS == 0u) {
    for (var r = 0u; r < ROW_TILE; r++) {
      let chunk = (rowOf(tokens, firstRow, r) * numBlocks + block) * (8u / CHUNK_QUADS) + place / CHUNK_QUADS;
      tile.chunks[r] = loadChunk(chunk);
    }
  }
  var weights: array<vec4f, ROW_TILE>;
  for (var r = 0u; r < ROW_TILE; r++) {
    weights[r] = tile.scales[r] * decodeQuad(tile.chunks[r], place % CHUNK_QUADS);
  }
  for (var t = 0u; t < TOKEN_TILE; t++) {
    let quad = sharedQuad(tile.activations[t], xRowOf(tokens, t), block, place);
    for (var r = 0u; r < ROW_TILE; r++) {
      tile.sums[r][t] += dot(weights[r], quad);
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
  let lane = id.x % LANES;
  let firstRow = (id.x / LANES) * LANES * ROW_TILE + lane;
  let tokens = tokensAt(workgroup.y, TOKEN_TILE);
  if (isEmpty(tokens)) { return; }
  let numBlocks = (params.columns + 31u) / 32u;
  var tile: Tile;
  for (var block = 0u; block < numBlocks; block++) {
    for (var t = 0u; t < TOKEN_TILE; t++) {
      tile.activations[t] = ownQuad(xRowOf(tokens, t), block, lane);
    }
    for (var r = 0u; r < ROW_TILE; r++) {
      tile.scales[r] = loadScale(rowOf(tokens, firstRow, r), numBlocks, block);
    }
    addQuad(&tile, tokens, firstRow, block, 0u);
    addQuad(&tile, tokens, firstRow, block, 1u);
    addQuad(&tile, tokens, firstRow, block, 2u);
    addQuad(&tile, tokens, firstRow, block, 3u);
    addQuad(&tile, tokens, firstRow, block, 4u);
    addQuad(&tile, tokens, firstRow, block, 5u);
    addQuad(&tile, tokens, firstRow, block, 6u);
    addQuad(&tile, tokens, firstRow, block, 7u);
  }
  for (var r = 0u; r < ROW_TILE; r++) {
    for (var t = 0u; t < TOKEN_TILE; t++) {
      let row = firstRow + r * LANES;
      if (t < tokens.count && hasWeight(tokens, row)) {
        let to = yRowOf(tokens, t) * params.yStride + params.yColumn + row;
        y[to] = Y(tile.sums[r][t] + biasOf(biasAt(tokens, row)));
      }
    }
  }
}
