// Orders the rows (token, slot) by their experts: where each expert's rows begin, then the rows. One invocation an expert.

struct Params {
  numRows: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> experts: array<u32>;
@group(0) @binding(1) var<storage, read_write> routes: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let expert = id.x;
  if (expert >= NUM_EXPERTS) { return; }
  var start = 0u;
  for (var row = 0u; row < params.numRows; row++) {
    if (experts[row] < expert) { start++; }
  }
  routes[expert] = start;
  var at = NUM_EXPERTS + 1u + start;
  for (var row = 0u; row < params.numRows; row++) {
    if (experts[row] == expert) {
      routes[at] = row;
      at++;
    }
  }
  if (expert == NUM_EXPERTS - 1u) { routes[NUM_EXPERTS] = params.numRows; }
}
