// Causal attention of a tile of query rows; a workgroup a (tile, head), 8 lanes a row. Keys and then values pass through
// workgroup memory KEY_TILE at a time; the softmax is kept up to date as they come.
// Source: Dao 2023 (FlashAttention-2), algorithm 1.

struct Params {
  numTiles: u32,
  stride: u32, // of q, in octets
  qColumn: u32, // in octets
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> q: array<vec4u>;
@group(0) @binding(1) var<storage, read> kCache: KvCache;
@group(0) @binding(2) var<storage, read> vCache: KvCache;
@group(0) @binding(3) var<storage, read> blockTableStarts: array<u32>;
@group(0) @binding(4) var<storage, read> blockTables: array<u32>;
@group(0) @binding(6) var<storage, read> tiles: array<vec4u>; // sequence, first row, rows, position of the first row
@group(0) @binding(7) var<storage, read_write> y: array<vec4<Out>>;

const OCTETS = HEAD_DIM / 8u;
const VECTORS = HEAD_DIM / 4u;
const ROW_LANES = 8u;
const WORKGROUP_SIZE = TILE_ROWS * ROW_LANES;
const KEYS_PER_LANE = KEY_TILE / ROW_LANES;
const VECTORS_PER_LANE = (VECTORS + ROW_LANES - 1u) / ROW_LANES;
// One vector of padding, so that the lanes of a row read different banks.
const TILE_STRIDE = VECTORS + 1u;

var<workgroup> queries: array<vec4f, TILE_ROWS * VECTORS>;
var<workgroup> keysOrValues: array<vec4f, KEY_TILE * TILE_STRIDE>;
var<workgroup> scores: array<array<f32, KEY_TILE>, TILE_ROWS>;
var<workgroup> weights: array<array<f32, KEY_TILE>, TILE_ROWS>;

fn queryOctet(i: u32) -> Octet {
  if (ACT_IS_F16) { return octetOfHalves(q[i]); }
  return octetOfFloats(q[2u * i], q[2u * i + 1u]);
}

fn loadTile(cache: ptr<storage, KvCache, read>, local: u32, table: u32, kvHead: u32, firstKey: u32, lowest: u32, numKeys: u32) {
  for (var i = local; i < KEY_TILE * OCTETS; i += WORKGROUP_SIZE) {
    // Keys beyond the context or before the window repeat its end: their weight is 0, and a stale slot might hold a NaN.
    let key = clamp(firstKey + i / OCTETS, lowest, numKeys - 1u);
    let page = blockTables[table + key / BLOCK_SIZE] * NUM_KV_HEADS + kvHead;
    let octet = kvOctet(cache, kvRow(page, key % BLOCK_SIZE), i % OCTETS);
    let to = i / OCTETS * TILE_STRIDE + i % OCTETS * 2u;
    keysOrValues[to] = octet.low;
    keysOrValues[to + 1u] = octet.high;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = workgroup.x + workgroup.y * numWorkgroups.x;
  let tile = i / NUM_HEADS;
  let head = i % NUM_HEADS;
  if (tile >= params.numTiles) { return; }
  let table = blockTableStarts[tiles[tile].x];
  let firstRow = tiles[tile].y;
  let numRows = tiles[tile].z;
  let numKeys = tiles[tile].w + numRows;
  let lowest = firstSeen(tiles[tile].w + 1u);
  let kvHead = head / HEADS_PER_KV;
  for (var at = local; at < TILE_ROWS * OCTETS; at += WORKGROUP_SIZE) {
    let row = firstRow + min(at / OCTETS, numRows - 1u);
    let octet = queryOctet(row * params.stride + params.qColumn + head * OCTETS + at % OCTETS);
    queries[2u * at] = octet.low * f32(SCALE);
    queries[2u * at + 1u] = octet.high * f32(SCALE);
  }
  let tileRow = local / ROW_LANES;
  let lane = local % ROW_LANES;
  let row = firstRow + min(tileRow, numRows - 1u);
  let numSeen = tiles[tile].w + min(tileRow, numRows - 1u) + 1u;
  var maximum = sinkOf(head);
  var sum = select(0f, 1f, HAS_SINKS && lane == 0u); // of this lane's keys
  var values: array<vec4f, VECTORS_PER_LANE>;
  for (var firstKey = lowest / KEY_TILE * KEY_TILE; firstKey < numKeys; firstKey += KEY_TILE) {
    loadTile(&kCache, local, table, kvHead, firstKey, lowest, numKeys);
    workgroupBarrier();
    for (var j = 0u; j < KEYS_PER_LANE; j++) {
      let key = j * ROW_LANES + lane;
      var score = 0f;
      for (var d = 0u; d < VECTORS; d++) {
        score += dot(queries[tileRow * VECTORS + d], keysOrValues[key * TILE_STRIDE + d]);
      }
      let isSeen = firstKey + key < numSeen && firstKey + key >= firstSeen(numSeen);
      scores[tileRow][key] = select(-1e30f, cappedScore(score), isSeen);
    }
    workgroupBarrier();
    var newMaximum = maximum;
    for (var key = 0u; key < KEY_TILE; key++) { newMaximum = max(newMaximum, scores[tileRow][key]); }
    let shrink = exp(max(maximum - newMaximum, -87f));
    maximum = newMaximum;
    sum *= shrink;
    for (var j = 0u; j < KEYS_PER_LANE; j++) {
      let key = j * ROW_LANES + lane;
      let score = scores[tileRow][key];
      let weight = select(0f, exp(max(score - maximum, -87f)), score > -1e29f);
      weights[tileRow][key] = weight;
      sum += weight;
    }
    loadTile(&vCache, local, table, kvHead, firstKey, lowest, numKeys);
    workgroupBarrier();
    for (var j = 0u; j < VECTORS_PER_LANE; j++) {
      let d = min(j * ROW_LANES + lane, VECTORS - 1u);
      var value = values[j] * shrink;
      for (var key = 0u; key < KEY_TILE; key++) {
        value += weights[tileRow][key] * keysOrValues[key * TILE_STRIDE + d];
      }
      values[j] = value;
    }
    workgroupBarrier();
  }
  scores[tileRow][lane] = sum;
  workgroupBarrier();
  var total = 0f;
  for (var other = 0u; other < ROW_LANES; other++) { total += scores[tileRow][other]; }
  if (tileRow >= numRows) { return; }
  for (var j = 0u; j < VECTORS_PER_LANE; j++) {
    let d = j * ROW_LANES + lane;
    if (d < VECTORS) { y[(row * NUM_HEADS + head) * VECTORS + d] = vec4<Out>(values[j] / total); }
  }
}
