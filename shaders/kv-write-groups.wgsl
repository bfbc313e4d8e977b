// Quantizes K and V of each row into its slot; one invocation a group of columns, the last of a head may be shorter.
// A scale is half a word that it may share with another row's, hence the atomics.

struct Params {
  numGroups: u32, // of all rows and heads
  stride: u32,
  kColumn: u32,
  vColumn: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> qkv: array<Act>;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read_write> kCache: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> vCache: array<atomic<u32>>;

const COLUMNS_PER_WORD = 32u / KV_BITS;
const LOWEST_LEVEL = -f32(1u << (KV_BITS - 1u));

// What the column stands for in the group's levels.
fn levelAt(column: u32, inverse: f32) -> i32 {
  return i32(clamp(round(f32(qkv[column]) * inverse), LOWEST_LEVEL, -1f - LOWEST_LEVEL));
}

fn wordAt(column: u32, inverse: f32) -> u32 {
  var word = 0u;
  if (KV_BITS == 8u) {
    for (var j = 0u; j < 4u; j++) { word |= u32(levelAt(column + j, inverse) & 255) << (8u * j); }
  } else {
    for (var j = 0u; j < 4u; j++) {
      let low = u32(levelAt(column + j, inverse) + 8);
      let high = u32(levelAt(column + 4u + j, inverse) + 8);
      word |= (low | (high << 4u)) << (8u * j);
    }
  }
  return word;
}

fn writeGroup(cache: ptr<storage, array<atomic<u32>>, read_write>, column: u32, page: u32, slot: u32, group: u32) {
  let length = min(KV_GROUP_LENGTH, HEAD_DIM - group * KV_GROUP_LENGTH);
  var extreme = 0f;
  for (var j = 0u; j < length; j++) {
    let value = f32(qkv[column + j]);
    if (abs(value) > abs(extreme)) { extreme = value; }
  }
  // The nearest BF16. The extreme becomes the lowest level.
  let scaleBits = (bitcast<u32>(extreme / LOWEST_LEVEL) + 0x8000u) >> 16u;
  let scale = bitcast<f32>(scaleBits << 16u);
  let inverse = select(0f, 1f / scale, abs(scale) > 1e-30f);
  let to = page * PAGE_WORDS + (slot * HEAD_DIM + group * KV_GROUP_LENGTH) / COLUMNS_PER_WORD;
  for (var i = 0u; i < length / COLUMNS_PER_WORD; i++) {
    atomicStore(&cache[to + i], wordAt(column + i * COLUMNS_PER_WORD, inverse));
  }
  let at = slot * KV_GROUPS + group;
  let scaleAt = page * PAGE_WORDS + COLUMN_WORDS + at / 2u;
  let shift = 16u * (at % 2u);
  atomicAnd(&cache[scaleAt], ~(0xffffu << shift));
  atomicOr(&cache[scaleAt], scaleBits << shift);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numGroups) { return; }
  let group = i % KV_GROUPS;
  let head = i / KV_GROUPS % NUM_KV_HEADS;
  let row = i / (KV_GROUPS * NUM_KV_HEADS);
  let page = slots[row] / BLOCK_SIZE * NUM_KV_HEADS + head;
  let slot = slots[row] % BLOCK_SIZE;
  let source = row * params.stride + head * HEAD_DIM + group * KV_GROUP_LENGTH;
  writeGroup(&kCache, source + params.kColumn, page, slot, group);
  writeGroup(&vCache, source + params.vColumn, page, slot, group);
}
