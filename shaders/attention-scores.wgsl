// Barrier-free attention, first part: the masked scores of every key. KEY_LANES invocations share a unit's keys; each
// scores 4 keys × QUERIES queries at a time.

struct Params {
  firstUnit: u32,
  numUnits: u32,
  stride: u32, // of q, in octets
  qColumn: u32, // in octets
  octetsPerHead: u32, // not a constant, so that the loop is not unrolled: that would take seconds to compile
  maxKeys: u32, // room of a query in `weights`
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> q: array<vec4u>;
@group(0) @binding(1) var<storage, read> kCache: KvCache;
@group(0) @binding(2) var<storage, read> blockTableStarts: array<u32>;
@group(0) @binding(3) var<storage, read> blockTables: array<u32>;
@group(0) @binding(4) var<storage, read_write> weights: array<vec4f>;

fn queryOctet(i: u32) -> Octet {
  if (ACT_IS_F16) { return octetOfHalves(q[i]); }
  return octetOfFloats(q[2u * i], q[2u * i + 1u]);
}

fn scoresOf(unit: Unit, key: u32, page: u32) -> array<vec4f, QUERIES> {
  let perHead = params.octetsPerHead;
  let slot = key % BLOCK_SIZE;
  let row0 = kvRow(page, slot);
  let row1 = kvRow(page, slot + 1u);
  let row2 = kvRow(page, slot + 2u);
  let row3 = kvRow(page, slot + 3u);
  var scores: array<vec4f, QUERIES>;
  for (var o = 0u; o < perHead; o++) {
    let k0 = kvOctet(&kCache, row0, o);
    let k1 = kvOctet(&kCache, row1, o);
    let k2 = kvOctet(&kCache, row2, o);
    let k3 = kvOctet(&kCache, row3, o);
    for (var r = 0u; r < QUERIES; r++) {
      let query = queryOctet(rowOf(unit, r) * params.stride + params.qColumn + headOf(unit, r) * perHead + o);
      scores[r] += vec4f(octetDot(query, k0), octetDot(query, k1), octetDot(query, k2), octetDot(query, k3));
    }
  }
  for (var r = 0u; r < QUERIES; r++) {
    let numKeys = keysOf(unit, r);
    let keys = vec4u(key, key + 1u, key + 2u, key + 3u);
    let scaled = scores[r] * f32(SCALE);
    let capped = vec4f(cappedScore(scaled.x), cappedScore(scaled.y), cappedScore(scaled.z), cappedScore(scaled.w));
    scores[r] = select(vec4f(-1e30f), capped, (keys < vec4u(numKeys)) & (keys >= vec4u(firstSeen(numKeys))));
  }
  return scores;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  let index = i / KEY_LANES;
  if (index >= params.numUnits) { return; }
  let unit = unitAt(params.firstUnit + index);
  let table = blockTableStarts[unit.sequence];
  let kvHead = unit.head / HEADS_PER_KV;
  let room = params.maxKeys / 4u;
  for (var key = firstKeyOf(unit) + i % KEY_LANES * 4u; key < unit.numKeys; key += KEY_LANES * 4u) {
    let page = blockTables[table + key / BLOCK_SIZE] * NUM_KV_HEADS + kvHead;
    let scores = scoresOf(unit, key, page);
    for (var r = 0u; r < QUERIES; r++) { weights[(index * QUERIES + r) * room + key / 4u] = scores[r]; }
  }
}
