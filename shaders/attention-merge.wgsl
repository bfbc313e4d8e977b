// Joins the partial attentions of a row's splits; one invocation an output element.

struct Params {
  firstRow: u32,
  numElements: u32,
  numSplits: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read> contextLengths: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Out>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let element = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (element >= params.numElements) { return; }
  let head = element / HEAD_DIM; // counted over all rows of the round
  let row = params.firstRow + head / NUM_HEADS;
  let numSplits = (contextLengths[row] + SPLIT_KEYS - 1u) / SPLIT_KEYS;
  let first = head * params.numSplits * (HEAD_DIM + 2u);
  let firstSplit = firstSeen(contextLengths[row]) / SPLIT_KEYS;
  let sink = sinkOf(head % NUM_HEADS);
  var maximum = sink;
  for (var split = firstSplit; split < numSplits; split++) {
    maximum = max(maximum, partials[first + split * (HEAD_DIM + 2u) + HEAD_DIM]);
  }
  var sum = select(0f, exp(max(sink - maximum, -87f)), HAS_SINKS);
  var value = 0f;
  for (var split = firstSplit; split < numSplits; split++) {
    let at = first + split * (HEAD_DIM + 2u);
    let weight = exp(max(partials[at + HEAD_DIM] - maximum, -87f));
    sum += weight * partials[at + HEAD_DIM + 1u];
    value += weight * partials[at + element % HEAD_DIM];
  }
  y[params.firstRow * NUM_HEADS * HEAD_DIM + element] = Out(value / sum);
}
