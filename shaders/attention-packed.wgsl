// Attention of every token to all tokens of its sequence; the batch's sequences lie end to end. One invocation a query row
// and head, key by key; the softmax is kept up to date as they come.
// Source: Milakov & Gimelshein 2018, algorithm 3.

struct Params {
  numRows: u32,
  vectorsPerHead: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> qkv: array<vec4<In>>; // [rows, 3, NUM_HEADS, VECTORS]
@group(0) @binding(1) var<storage, read> spans: array<vec2u>; // first row of the sequence, and the row behind its last
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Out>>;

const WIDTH = NUM_HEADS * VECTORS;
const KEYS_AT = WIDTH;
const VALUES_AT = 2u * WIDTH;

fn load(row: u32, column: u32) -> vec4f { return vec4f(qkv[row * 3u * WIDTH + column]); }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  let head = i / params.numRows;
  let row = i % params.numRows;
  if (head >= NUM_HEADS) { return; }
  // A GPU keeps arrays in registers where it unrolls the loops over them. A software adapter would take long to compile that,
  // and is slow at arrays: it reads the query again for every key.
  let vectors = select(params.vectorsPerHead, VECTORS, UNROLLS);
  let column = head * VECTORS;
  let span = spans[row];
  var query = array<vec4f, VECTORS>();
  var values = array<vec4f, VECTORS>();
  for (var d = 0u; d < vectors; d++) {
    values[d] = vec4f();
    if (UNROLLS) { query[d] = load(row, column + d); }
  }
  var maximum = -1e30f;
  var sum = 0f;
  for (var key = span.x; key < span.y; key++) {
    var products = vec4f();
    for (var d = 0u; d < vectors; d++) {
      var q = vec4f();
      if (UNROLLS) { q = query[d]; } else { q = load(row, column + d); }
      products += q * load(key, KEYS_AT + column + d);
    }
    let score = dot(products, vec4f(f32(SCALE)));
    let newMaximum = max(maximum, score);
    let shrink = exp(max(maximum - newMaximum, -87f));
    let weight = exp(max(score - newMaximum, -87f));
    maximum = newMaximum;
    sum = sum * shrink + weight;
    for (var d = 0u; d < vectors; d++) {
      values[d] = values[d] * shrink + weight * load(key, VALUES_AT + column + d);
    }
  }
  for (var d = 0u; d < vectors; d++) { y[row * WIDTH + column + d] = vec4<Out>(values[d] / sum); }
}
