// Gathers one part of each GGUF block of some rows into its stream, 16 bytes an invocation: for parts of whole vectors. A load
// costs the same however wide it is, so this takes a fraction of what repack.wgsl does.
struct Params {
  numRows: u32,
  blocksPerRow: u32,
  vectorsPerRow: u32,
  firstVector: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> stream: array<vec4u>;

const VECTORS_PER_PART = BYTES_PER_BLOCK / 16u;

// 16 bytes from any byte on. A shift by 32 is undefined, hence two shifts for the upper part.
fn sourceVector(offset: u32) -> vec4u {
  let word = offset / 4u;
  let shift = vec4u((offset % 4u) * 8u);
  var low = source[word / 4u];
  var high = source[word / 4u + 1u];
  if ((word & 2u) != 0u) {
    low = vec4u(low.zw, high.xy);
    high = vec4u(high.zw, 0u, 0u);
  }
  if ((word & 1u) != 0u) {
    low = vec4u(low.yzw, high.x);
    high = high.yzwx;
  }
  return (low >> shift) | ((vec4u(low.yzw, high.x) << (vec4u(31u) - shift)) << vec4u(1u));
}

// Nibbles of eight words, four neighbours a word, as four words of eight neighbours.
fn joinNibbles(even: vec4u, odd: vec4u) -> vec4u {
  return (even & vec4u(0x0f0f0f0fu)) | ((odd & vec4u(0x0f0f0f0fu)) << vec4u(4u));
}

// Vector `index` of a part whose bytes keep weights i and i + NIBBLE_DISTANCE.
fn nibbleVector(part: u32, index: u32) -> vec4u {
  if (NIBBLE_DISTANCE == 16u) {
    let words = sourceVector(part + index * 16u);
    let both = vec4u(words.xz, words.xz >> vec2u(4u));
    return joinNibbles(both, vec4u(words.yw, words.yw >> vec2u(4u)));
  }
  let first = part + index / 2u * 32u;
  let shift = vec4u((index & 1u) * 4u);
  let low = sourceVector(first) >> shift;
  let high = sourceVector(first + 16u) >> shift;
  return joinNibbles(vec4u(low.xz, high.xz), vec4u(low.yw, high.yw));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * 64u;
  if (index >= params.numRows * params.vectorsPerRow) {
    return;
  }
  let row = index / params.vectorsPerRow;
  let vectorInRow = index % params.vectorsPerRow;
  let block = vectorInRow / VECTORS_PER_PART;
  var vector = vec4u();
  if (block < params.blocksPerRow) {
    let part = (row * params.blocksPerRow + block) * BLOCK_BYTES + PART_OFFSET;
    if (HAS_NIBBLES) {
      vector = nibbleVector(part, vectorInRow % VECTORS_PER_PART);
    } else {
      vector = sourceVector(part + vectorInRow % VECTORS_PER_PART * 16u);
    }
  }
  stream[params.firstVector + index] = vector;
}
