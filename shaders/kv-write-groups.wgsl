// Quantizes K and V of each row into its slot; one invocation a group of columns, the last of a head may be shorter.
// A scale is half a word that it may share with another row's, hence the atomics.

struct Params {
  numGroups: u32, // of all rows and heads, in K and in V
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

fn quadAt(column: u32) -> vec4f {
  return vec4f(f32(qkv[column]), f32(qkv[column + 1u]), f32(qkv[column + 2u]), f32(qkv[column + 3u]));
}

fn levelsAt(column: u32, inverse: f32) -> vec4i {
  return vec4i(clamp(round(quadAt(column) * inverse), vec4f(LOWEST_LEVEL), vec4f(-1f - LOWEST_LEVEL)));
}

fn wordAt(column: u32, inverse: f32) -> u32 {
  if (KV_BITS == 8u) { return pack4xI8(levelsAt(column, inverse)); }
  return pack4xI8(levelsAt(column, inverse) + 8) | (pack4xI8(levelsAt(column + 4u, inverse) + 8) << 4u);
}

// The column of the greatest magnitude.
fn extremeOf(column: u32, length: u32) -> f32 {
  var extreme = vec4f();
  for (var j = 0u; j < length; j += 4u) {
    let quad = quadAt(column + j);
    extreme = select(extreme, quad, abs(quad) > abs(extreme));
  }
  let pair = select(extreme.xy, extreme.zw, abs(extreme.zw) > abs(extreme.xy));
  return select(pair.x, pair.y, abs(pair.y) > abs(pair.x));
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
  let isValue = i / (KV_GROUPS * NUM_KV_HEADS) % 2u == 1u;
  let row = i / (KV_GROUPS * NUM_KV_HEADS * 2u);
  let column = row * params.stride + select(params.kColumn, params.vColumn, isValue) + head * HEAD_DIM + group * KV_GROUP_LENGTH;
  let length = min(KV_GROUP_LENGTH, HEAD_DIM - group * KV_GROUP_LENGTH);
  // The nearest BF16 with which the extreme becomes the lowest level.
  let scaleBits = (bitcast<u32>(extremeOf(column, length) / LOWEST_LEVEL) + 0x8000u) >> 16u;
  let scale = bitcast<f32>(scaleBits << 16u);
  let inverse = select(0f, 1f / scale, abs(scale) > 1e-30f);

  let slot = slots[row] % BLOCK_SIZE;
  let page = (slots[row] / BLOCK_SIZE * NUM_KV_HEADS + head) * PAGE_WORDS;
  let to = page + (slot * HEAD_DIM + group * KV_GROUP_LENGTH) / COLUMNS_PER_WORD;
  for (var j = 0u; j < length / COLUMNS_PER_WORD; j++) {
    let word = wordAt(column + j * COLUMNS_PER_WORD, inverse);
    if (isValue) { atomicStore(&vCache[to + j], word); } else { atomicStore(&kCache[to + j], word); }
  }
  let scaleAt = slot * KV_GROUPS + group;
  let scaleWord = page + COLUMN_WORDS + scaleAt / 2u;
  let shift = 16u * (scaleAt % 2u);
  if (isValue) {
    atomicAnd(&vCache[scaleWord], ~(0xffffu << shift));
    atomicOr(&vCache[scaleWord], scaleBits << shift);
  } else {
    atomicAnd(&kCache[scaleWord], ~(0xffffu << shift));
    atomicOr(&kCache[scaleWord], scaleBits << shift);
  }
}
