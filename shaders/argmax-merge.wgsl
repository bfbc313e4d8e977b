// The best of a row's parts; one invocation a row.

struct Params {
  numRows: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> partValues: array<f32>;
@group(0) @binding(1) var<storage, read> partIds: array<u32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  let row = invocation.x;
  if (row >= params.numRows) { return; }
  var best = -1e30f;
  var bestId = 0xffffffffu;
  for (var part = row * NUM_PARTS; part < (row + 1u) * NUM_PARTS; part++) {
    let value = partValues[part];
    let id = partIds[part];
    if (value > best || (value == best && id < bestId)) {
      best = value;
      bestId = id;
    }
  }
  ids[row] = bestId;
}
