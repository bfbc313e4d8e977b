// Barrier-free attention, third part: the weighted sum of the values; one invocation a unit and 8 columns of its head.

struct Params {
  firstUnit: u32,
  numUnits: u32,
  maxKeys: u32, // room of a query in `weights`
}
var<immediate> params: Params;

const OCTETS = HEAD_DIM / 8u;

@group(0) @binding(0) var<storage, read> vCache: KvCache;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(2) var<storage, read> blockTableStarts: array<u32>;
@group(0) @binding(3) var<storage, read> blockTables: array<u32>;
@group(0) @binding(4) var<storage, read> weights: array<vec4f>;
@group(0) @binding(5) var<storage, read> inverseSums: array<f32>;

fn valueOctet(page: u32, slot: u32, octet: u32, isSeen: bool) -> Octet {
  // A slot beyond the context may hold anything, NaN too: a weight of 0 would not silence it.
  if (!isSeen) { return Octet(); }
  return kvOctet(&vCache, kvRow(page, slot), octet);
}

fn store(i: u32, value: Octet) {
  if (OUT_IS_F16) {
    y[i] = halvesOfOctet(value);
  } else {
    y[2u * i] = bitcast<vec4u>(value.low);
    y[2u * i + 1u] = bitcast<vec4u>(value.high);
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  let index = i / OCTETS;
  if (index >= params.numUnits) { return; }
  let octet = i % OCTETS;
  let unit = unitAt(params.firstUnit + index);
  let table = blockTableStarts[unit.sequence];
  let kvHead = unit.head / HEADS_PER_KV;
  let room = params.maxKeys / 4u;
  var low: array<vec4f, QUERIES>;
  var high: array<vec4f, QUERIES>;
  for (var key = firstKeyOf(unit); key < unit.numKeys; key += 4u) {
    let page = blockTables[table + key / BLOCK_SIZE] * NUM_KV_HEADS + kvHead;
    let slot = key % BLOCK_SIZE;
    let v0 = valueOctet(page, slot, octet, true);
    let v1 = valueOctet(page, slot + 1u, octet, key + 1u < unit.numKeys);
    let v2 = valueOctet(page, slot + 2u, octet, key + 2u < unit.numKeys);
    let v3 = valueOctet(page, slot + 3u, octet, key + 3u < unit.numKeys);
    for (var r = 0u; r < QUERIES; r++) {
      let weight = weights[(index * QUERIES + r) * room + key / 4u];
      low[r] += weight.x * v0.low + weight.y * v1.low + weight.z * v2.low + weight.w * v3.low;
      high[r] += weight.x * v0.high + weight.y * v1.high + weight.z * v2.high + weight.w * v3.high;
    }
  }
  for (var r = 0u; r < QUERIES; r++) {
    if (isQuery(unit, r)) {
      let factor = inverseSums[index * QUERIES + r];
      store((rowOf(unit, r) * NUM_HEADS + headOf(unit, r)) * OCTETS + octet, Octet(low[r] * factor, high[r] * factor));
    }
  }
}
