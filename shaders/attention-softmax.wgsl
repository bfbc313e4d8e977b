// Barrier-free attention, second part: weights exp(score − maximum), and one over their sum; one invocation a query.

struct Params {
  firstUnit: u32,
  numUnits: u32,
  maxKeys: u32, // room of a query in `weights`
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> inverseSums: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let query = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (query >= params.numUnits * QUERIES) { return; }
  let unit = unitAt(params.firstUnit + query / QUERIES);
  let room = query * (params.maxKeys / 4u);
  let first = room + firstKeyOf(unit) / 4u;
  let end = room + (unit.numKeys + 3u) / 4u;
  let sink = sinkOf(headOf(unit, query % QUERIES));
  var maxima = vec4f(sink);
  for (var i = first; i < end; i++) { maxima = max(maxima, weights[i]); }
  let pairs = max(maxima.xy, maxima.zw);
  let maximum = max(pairs.x, pairs.y);
  var sums = vec4f();
  for (var i = first; i < end; i++) {
    let scores = weights[i];
    let weight = select(vec4f(), exp(max(scores - maximum, vec4f(-87f))), scores > vec4f(-1e29f));
    weights[i] = weight;
    sums += weight;
  }
  let sum = dot(sums, vec4f(1f)) + select(0f, exp(max(sink - maximum, -87f)), HAS_SINKS);
  inverseSums[query] = 1f / sum;
}
