// y = x · weightᵀ for many tokens: TILE × TILE outputs a workgroup, 4 × 4 an invocation. Both operands are decoded to F32
// in workgroup memory, four neighbours along K an element, so that threads read neighbouring elements.
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

const TILE = 64u;
const SIDE = 16u;
const WORKGROUP_SIZE = 256u;

// One block of 32 of each row: quad `k` of row `r` at k * TILE + r.
var<workgroup> tokenTile: array<vec4f, TILE * 8u>;
var<workgroup> weightTile: array<vec4f, TILE * 8u>;

fn loadTiles(tokens: Tokens, firstRow: u32, block: u32, local: u32) {
  let numBlocks = (params.columns + 31u) / 32u;
  for (var i = local; i < TILE * 8u; i += WORKGROUP_SIZE) {
    tokenTile[i] = loadQuad(xRowOf(tokens, i % TILE), block * 8u + i / TILE);
  }
  for (var i = local; i < TILE * (8u / CHUNK_QUADS); i += WORKGROUP_SIZE) {
    let row = weightRowOf(tokens, firstRow + i % TILE);
    let place = i / TILE;
    let chunk = loadChunk((row * numBlocks + block) * (8u / CHUNK_QUADS) + place);
    let scale = loadScale(row, numBlocks, block);
    for (var k = 0u; k < CHUNK_QUADS; k++) {
      weightTile[(place * CHUNK_QUADS + k) * TILE + i % TILE] = scale * decodeQuad(chunk, k);
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let firstRow = workgroup.x * TILE;
  let tokens = tokensAt(workgroup.y, TILE);
  if (isEmpty(tokens)) { return; }
  let numBlocks = (params.columns + 31u) / 32u;
  let column = local % SIDE;
  let line = local / SIDE;
  var sums: array<array<f32, 4>, 4>;
  for (var block = 0u; block < numBlocks; block++) {
    loadTiles(tokens, firstRow, block, local);
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) {
      var a: array<vec4f, 4>;
      var b: array<vec4f, 4>;
      for (var i = 0u; i < 4u; i++) {
        a[i] = tokenTile[k * TILE + line + SIDE * i];
        b[i] = weightTile[k * TILE + column + SIDE * i];
      }
      for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
          sums[i][j] += dot(a[i], b[j]);
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      let token = line + SIDE * i;
      let row = firstRow + column + SIDE * j;
      if (token < tokens.count && hasWeight(tokens, row)) {
        let to = yRowOf(tokens, token) * params.yStride + params.yColumn + row;
        y[to] = Y(sums[i][j] + biasOf(biasAt(tokens, row)));
      }
    }
  }
}
