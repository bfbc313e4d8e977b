// y = x · weightᵀ for many tokens: TILE × TILE outputs a workgroup, 4 × 4 an invocation. Both operands are decoded to F32
// in workgroup memory, four neighbours along K an element, so that threads read neighbouring elements.
struct Params {
  rows: u32,
  columns: u32,
  numTokens: u32,
  yStride: u32,
  yColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(5) var<storage, read_write> y: array<Y>;

const TILE = 64u;
const DEPTH_OCTETS = 4u;
const SIDE = 16u;

var<workgroup> tokenTile: array<vec4f, TILE * DEPTH_OCTETS * 2u>;
var<workgroup> weightTile: array<vec4f, TILE * DEPTH_OCTETS * 2u>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let firstRow = workgroup.x * TILE;
  let firstToken = workgroup.y * TILE;
  let octetsPerRow = (params.columns + 7u) / 8u;
  let scaleWordsPerRow = (octetsPerRow + 7u) / 8u;
  // What this invocation loads: one octet of one token and one weight row.
  let loadedRow = min(firstRow + local % TILE, params.rows - 1u);
  let loadedToken = min(firstToken + local % TILE, params.numTokens - 1u);
  let loadedOctet = local / TILE;
  let slot = loadedOctet * 2u * TILE + local % TILE;
  let column = local % SIDE;
  let line = local / SIDE;
  var sums: array<array<f32, 4>, 4>;
  for (var first = 0u; first < octetsPerRow; first += DEPTH_OCTETS) {
    let octet = first + loadedOctet;
    var tokens = mat2x4f();
    var weights = mat2x4f();
    if (octet < octetsPerRow) {
      tokens = loadActivations(loadedToken, octet);
      weights = loadScale(loadedRow * scaleWordsPerRow, octet) * loadQuants(loadedRow * octetsPerRow + octet);
    }
    tokenTile[slot] = tokens[0];
    tokenTile[slot + TILE] = tokens[1];
    weightTile[slot] = weights[0];
    weightTile[slot + TILE] = weights[1];
    workgroupBarrier();
    for (var k = 0u; k < DEPTH_OCTETS * 2u; k++) {
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
      let token = firstToken + line + SIDE * i;
      let row = firstRow + column + SIDE * j;
      if (token < params.numTokens && row < params.rows) {
        y[token * params.yStride + params.yColumn + row] = Y(sums[i][j]);
      }
    }
  }
}
