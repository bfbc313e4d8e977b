// Partial attention of one row's QUERIES neighbouring heads, which share a KV head, over SPLIT_KEYS keys; a workgroup a
// (row, split, head group), so that K and V are read once for all of them.
// A partial is HEAD_DIM unnormalised values, then their maximum score and sum.

struct Params {
  firstRow: u32,
  numParts: u32, // rows * splits * head groups
  numSplits: u32,
  stride: u32, // of q, in octets
  qColumn: u32, // in octets
  octetsPerHead: u32, // not a constant, so that the loop is not unrolled: that would take a software adapter a minute
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> q: array<vec4u>;
@group(0) @binding(1) var<storage, read> kCache: KvCache;
@group(0) @binding(2) var<storage, read> vCache: KvCache;
@group(0) @binding(3) var<storage, read> contextLengths: array<u32>;
@group(0) @binding(4) var<storage, read> blockTableStarts: array<u32>;
@group(0) @binding(5) var<storage, read> blockTables: array<u32>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;

const OCTETS = HEAD_DIM / 8u;
const HEAD_GROUPS = NUM_HEADS / QUERIES;
// Invocations that look for a query's maximum together.
const LANES_PER_QUERY = SPLIT_KEYS / QUERIES;
// Keys whose values are added side by side.
const VALUE_LANES = SPLIT_KEYS / (QUERIES * OCTETS);

var<workgroup> queries: array<Octet, QUERIES * OCTETS>;
var<workgroup> weights: array<array<f32, SPLIT_KEYS>, QUERIES>;
var<workgroup> extremes: array<f32, SPLIT_KEYS>;
var<workgroup> sums: array<Octet, VALUE_LANES * QUERIES * OCTETS>;

fn queryOctet(i: u32) -> Octet {
  if (ACT_IS_F16) { return octetOfHalves(q[i]); }
  return octetOfFloats(q[2u * i], q[2u * i + 1u]);
}

fn rowOfKey(table: u32, kvHead: u32, key: u32) -> KvRow {
  return kvRow(blockTables[table + key / BLOCK_SIZE] * NUM_KV_HEADS + kvHead, key % BLOCK_SIZE);
}

// Each query's scores become exp(score − maximum of the split); maximum and sum go to its partial.
fn softmaxSplit(local: u32, toFirst: u32) {
  let query = min(local / LANES_PER_QUERY, QUERIES - 1u);
  let lane = local % LANES_PER_QUERY;
  var maximum = -1e30f;
  for (var key = lane; key < SPLIT_KEYS; key += LANES_PER_QUERY) { maximum = max(maximum, weights[query][key]); }
  extremes[local] = maximum;
  workgroupBarrier();
  for (var i = 0u; i < LANES_PER_QUERY; i++) { maximum = max(maximum, extremes[query * LANES_PER_QUERY + i]); }
  workgroupBarrier();
  var sum = 0f;
  if (local < QUERIES * LANES_PER_QUERY) {
    for (var key = lane; key < SPLIT_KEYS; key += LANES_PER_QUERY) {
      let score = weights[query][key];
      let weight = select(0f, exp(max(score - maximum, -87f)), score > -1e29f);
      weights[query][key] = weight;
      sum += weight;
    }
  }
  extremes[local] = sum;
  workgroupBarrier();
  if (lane == 0u && local < QUERIES * LANES_PER_QUERY) {
    for (var i = 1u; i < LANES_PER_QUERY; i++) { sum += extremes[local + i]; }
    let to = toFirst + query * params.numSplits * (HEAD_DIM + 2u);
    partials[to + HEAD_DIM] = maximum;
    partials[to + HEAD_DIM + 1u] = sum;
  }
}

@compute @workgroup_size(SPLIT_KEYS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let part = workgroup.x + workgroup.y * numWorkgroups.x;
  let group = part % HEAD_GROUPS;
  let split = part / HEAD_GROUPS % params.numSplits;
  let roundRow = part / (HEAD_GROUPS * params.numSplits);
  let row = params.firstRow + roundRow;
  let first = split * SPLIT_KEYS;
  let lowest = firstSeen(contextLengths[row]);
  if (part >= params.numParts || first >= contextLengths[row] || first + SPLIT_KEYS <= lowest) { return; }
  // Of the split's keys, those from firstKey on are seen, up to numKeys.
  let firstKey = max(first, lowest) - first;
  let numKeys = min(SPLIT_KEYS, contextLengths[row] - first);
  let kvHead = group * QUERIES / HEADS_PER_KV;
  let table = blockTableStarts[row];
  let query = row * params.stride + params.qColumn + group * QUERIES * OCTETS;
  for (var i = local; i < QUERIES * OCTETS; i += SPLIT_KEYS) { queries[i] = queryOctet(query + i); }
  workgroupBarrier();

  let lane = local % KEY_LANES;
  for (var i = 0u; i < KEY_LANES; i++) {
    let key = i * (SPLIT_KEYS / KEY_LANES) + local / KEY_LANES;
    let cached = rowOfKey(table, kvHead, first + clamp(key, firstKey, numKeys - 1u));
    var scores = array<f32, QUERIES>();
    for (var o = lane; o < params.octetsPerHead; o += KEY_LANES) {
      let octet = kvOctet(&kCache, cached, o);
      for (var r = 0u; r < QUERIES; r++) { scores[r] += octetDot(queries[r * OCTETS + o], octet); }
    }
    for (var r = 0u; r < QUERIES; r++) {
      let score = sumKeyLanes(scores[r]);
      if (lane == 0u) { weights[r][key] = select(-1e30f, cappedScore(score * f32(SCALE)), key >= firstKey && key < numKeys); }
    }
  }
  workgroupBarrier();
  let toFirst = ((roundRow * NUM_HEADS + group * QUERIES) * params.numSplits + split) * (HEAD_DIM + 2u);
  softmaxSplit(local, toFirst);

  // An invocation owns 8 columns of a query, and every VALUE_LANES-th key.
  let column = local % (QUERIES * OCTETS);
  let valueLane = local / (QUERIES * OCTETS);
  let columnQuery = column / OCTETS;
  let octet = column % OCTETS;
  var total = Octet();
  if (valueLane < VALUE_LANES) {
    for (var key = firstKey + valueLane; key < numKeys; key += VALUE_LANES) {
      let value = kvOctet(&vCache, rowOfKey(table, kvHead, first + key), octet);
      let weight = weights[columnQuery][key];
      total = Octet(total.low + weight * value.low, total.high + weight * value.high);
    }
    sums[local] = total;
  }
  workgroupBarrier();
  if (valueLane > 0u) { return; }
  for (var i = 1u; i < VALUE_LANES; i++) {
    let other = sums[i * QUERIES * OCTETS + column];
    total = Octet(total.low + other.low, total.high + other.high);
  }
  let to = toFirst + columnQuery * params.numSplits * (HEAD_DIM + 2u) + octet * 8u;
  for (var j = 0u; j < 4u; j++) {
    partials[to + j] = total.low[j];
    partials[to + 4u + j] = total.high[j];
  }
}
