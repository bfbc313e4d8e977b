// One query head attends to a range of keys of a paged cache, alone: no barrier, no workgroup memory.

@group(0) @binding(0) var<storage, read> q: array<vec4<Act>>;
@group(0) @binding(1) var<storage, read> kCache: array<vec4<Kv>>;
@group(0) @binding(2) var<storage, read> vCache: array<vec4<Kv>>;
@group(0) @binding(3) var<storage, read> blockTableStarts: array<u32>;
@group(0) @binding(4) var<storage, read> blockTables: array<u32>;

const VECTORS = HEAD_DIM / 4u;

// Unnormalised: values = Σ exp(score − maximum) v, sum = Σ exp(score − maximum).
struct Attended {
  maximum: f32,
  sum: f32,
  values: array<vec4f, VECTORS>,
}

fn attend(query: u32, kvHead: u32, sequence: u32, first: u32, end: u32) -> Attended {
  let table = blockTableStarts[sequence];
  var scaledQuery: array<vec4f, VECTORS>;
  for (var i = 0u; i < VECTORS; i++) { scaledQuery[i] = vec4f(q[query + i]) * f32(SCALE); }
  var result: Attended;
  result.maximum = -1e30f;
  for (var key = first; key < end; key++) {
    let block = blockTables[table + key / BLOCK_SIZE];
    let at = ((block * NUM_KV_HEADS + kvHead) * BLOCK_SIZE + key % BLOCK_SIZE) * VECTORS;
    var score = 0f;
    for (var i = 0u; i < VECTORS; i++) { score += dot(scaledQuery[i], vec4f(kCache[at + i])); }
    if (score > result.maximum) {
      let shrink = exp(max(result.maximum - score, -87f));
      result.maximum = score;
      result.sum *= shrink;
      for (var i = 0u; i < VECTORS; i++) { result.values[i] *= shrink; }
    }
    let weight = exp(max(score - result.maximum, -87f));
    result.sum += weight;
    for (var i = 0u; i < VECTORS; i++) { result.values[i] += weight * vec4f(vCache[at + i]); }
  }
  return result;
}
