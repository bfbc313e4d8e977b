// The experts of a token, those with the greatest router logits (of equal ones the lower number), and their shares: a softmax
// over the chosen ones, or over all. One invocation a token.

struct Params {
  numTokens: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> experts: array<u32>;
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let token = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (token >= params.numTokens) { return; }
  let first = token * NUM_EXPERTS;
  var chosenSum = 0f;
  var maximum = 0f;
  // Each round takes the best that comes after the last one taken, in the order of (logit, number).
  var bound = 0f;
  var boundExpert = 0u;
  for (var slot = 0u; slot < EXPERTS_PER_TOKEN; slot++) {
    var best = -3e38f;
    var bestExpert = 0u;
    for (var expert = 0u; expert < NUM_EXPERTS; expert++) {
      let logit = logits[first + expert];
      let isLeft = slot == 0u || logit < bound || (logit == bound && expert > boundExpert);
      if (isLeft && logit > best) {
        best = logit;
        bestExpert = expert;
      }
    }
    if (slot == 0u) { maximum = best; }
    bound = best;
    boundExpert = bestExpert;
    let share = exp(max(best - maximum, -87f));
    chosenSum += share;
    experts[token * EXPERTS_PER_TOKEN + slot] = bestExpert;
    shares[token * EXPERTS_PER_TOKEN + slot] = share;
  }
  var sum = chosenSum;
  if (SHARES_OF_ALL) {
    sum = 0f;
    for (var expert = 0u; expert < NUM_EXPERTS; expert++) { sum += exp(max(logits[first + expert] - maximum, -87f)); }
  }
  for (var slot = 0u; slot < EXPERTS_PER_TOKEN; slot++) {
    shares[token * EXPERTS_PER_TOKEN + slot] /= sum;
  }
}
