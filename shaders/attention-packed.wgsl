// Attention of every token to all tokens of its sequence; the batch's sequences lie end to end. One invocation a query row
// and head, four keys at a time; the softmax is kept up to date as they come.
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
  // A software adapter takes long to compile an unrolled loop; a GPU keeps arrays in registers only where it unrolls.
  let vectors = select(params.vectorsPerHead, VECTORS, UNROLLS);
  let column = head * VECTORS;
  let span = spans[row];
  var query = array<vec4f, VECTORS>();
  var values = array<vec4f, VECTORS>();
  for (var d = 0u; d < vectors; d++) {
    query[d] = load(row, column + d) * f32(SCALE);
    values[d] = vec4f();
  }
  var maximum = -1e30f;
  var sum = 0f;
  for (var key = span.x; key < span.y; key += 4u) {
    let wanted = vec4u(key, key + 1u, key + 2u, key + 3u);
    // Keys beyond the sequence repeat its last one, and weigh nothing.
    let keys = min(wanted, vec4u(span.y - 1u));
    var scores = vec4f();
    for (var d = 0u; d < vectors; d++) {
      let at = KEYS_AT + column + d;
      let q = query[d];
      scores += vec4f(
        dot(q, load(keys.x, at)),
        dot(q, load(keys.y, at)),
        dot(q, load(keys.z, at)),
        dot(q, load(keys.w, at)),
      );
    }
    let pairs = max(scores.xy, scores.zw);
    let newMaximum = max(maximum, max(pairs.x, pairs.y));
    let shrink = exp(max(maximum - newMaximum, -87f));
    let weights = select(vec4f(), exp(max(scores - newMaximum, vec4f(-87f))), wanted < vec4u(span.y));
    maximum = newMaximum;
    sum = sum * shrink + dot(weights, vec4f(1f));
    for (var d = 0u; d < vectors; d++) {
      let at = VALUES_AT + column + d;
      values[d] = values[d] * shrink + weights.x * load(keys.x, at) + weights.y * load(keys.y, at) +
        weights.z * load(keys.z, at) + weights.w * load(keys.w, at);
    }
  }
  for (var d = 0u; d < vectors; d++) { y[row * WIDTH + column + d] = vec4<Out>(values[d] / sum); }
}
