// The K best logits of a row; one invocation a row.
// First the K best groups by their maxima, then the K best logits of those groups.

struct Params {
  numRows: u32,
  vocabularySize: u32,
  groupSize: u32,
  numGroups: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> groupMaxima: array<f32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

const LOWEST = -1e30f;
const NO_ID = 0xffffffffu;

struct Best {
  values: array<f32, K>,
  ids: array<u32, K>,
}

fn insert(best: ptr<function, Best>, logit: f32, id: u32) {
  let value = select(LOWEST, logit, logit > LOWEST); // NaN too
  var at = K;
  while (at > 0u) {
    let above = (*best).values[at - 1u];
    let aboveId = (*best).ids[at - 1u];
    if (above > value || (above == value && aboveId < id)) { break; }
    if (at < K) {
      (*best).values[at] = above;
      (*best).ids[at] = aboveId;
    }
    at--;
  }
  if (at < K) {
    (*best).values[at] = value;
    (*best).ids[at] = id;
  }
}

fn clear(best: ptr<function, Best>) {
  for (var i = 0u; i < K; i++) {
    (*best).values[i] = LOWEST;
    (*best).ids[i] = NO_ID;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  let row = invocation.x;
  if (row >= params.numRows) { return; }
  let groups = row * params.numGroups;
  var bestGroups: Best;
  clear(&bestGroups);
  for (var group = 0u; group < params.numGroups; group++) {
    insert(&bestGroups, groupMaxima[groups + group], group);
  }
  var best: Best;
  clear(&best);
  for (var i = 0u; i < K; i++) {
    let group = bestGroups.ids[i];
    if (group == NO_ID) { break; }
    let first = group * params.groupSize;
    let end = min(first + params.groupSize, params.vocabularySize);
    for (var id = first; id < end; id++) {
      insert(&best, logits[row * params.vocabularySize + id], id);
    }
  }
  for (var i = 0u; i < K; i++) {
    ids[row * K + i] = best.ids[i];
    values[row * K + i] = best.values[i];
  }
}
