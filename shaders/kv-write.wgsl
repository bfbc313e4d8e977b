// Copies K and V of each row to its slot; one invocation an element.

struct Params {
  numElements: u32,
  stride: u32,
  kColumn: u32,
  vColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> qkv: array<Act>;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read_write> kCache: array<Kv>;
@group(0) @binding(3) var<storage, read_write> vCache: array<Kv>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numElements) { return; }
  let column = i % (NUM_KV_HEADS * HEAD_DIM);
  let row = i / (NUM_KV_HEADS * HEAD_DIM);
  let head = column / HEAD_DIM;
  let slot = slots[row];
  let block = slot / BLOCK_SIZE;
  let to = ((block * NUM_KV_HEADS + head) * BLOCK_SIZE + slot % BLOCK_SIZE) * HEAD_DIM + column % HEAD_DIM;
  let source = row * params.stride + column;
  kCache[to] = Kv(qkv[source + params.kColumn]);
  vCache[to] = Kv(qkv[source + params.vColumn]);
}
