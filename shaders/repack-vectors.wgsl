// Gathers one part of each GGUF block of some rows into its stream, 16 bytes or twice that an invocation: for parts of whole
// vectors. A load costs the same however wide it is, so this takes a fraction of what repack.wgsl does.
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

// 32 bytes from any byte on.
fn sourcePair(offset: u32) -> array<vec4u, 2> {
  let word = offset / 4u;
  let shift = vec4u((offset % 4u) * 8u);
  var first = source[word / 4u];
  var second = source[word / 4u + 1u];
  var third = source[word / 4u + 2u];
  if ((word & 2u) != 0u) {
    first = vec4u(first.zw, second.xy);
    second = vec4u(second.zw, third.xy);
    third = vec4u(third.zw, 0u, 0u);
  }
  if ((word & 1u) != 0u) {
    first = vec4u(first.yzw, second.x);
    second = vec4u(second.yzw, third.x);
    third = third.yzwx;
  }
  let upper = vec4u(31u) - shift;
  return array(
    (first >> shift) | ((vec4u(first.yzw, second.x) << upper) << vec4u(1u)),
    (second >> shift) | ((vec4u(second.yzw, third.x) << upper) << vec4u(1u)),
  );
}

// Vectors `index` and `index` + 1 of a part, for an even index.
fn vectorPair(part: u32, index: u32) -> array<vec4u, 2> {
  let pair = sourcePair(part + index * 16u);
  if (!HAS_NIBBLES) {
    return pair;
  }
  if (NIBBLE_DISTANCE == 16u) {
    let first = vec4u(pair[0].xz, pair[0].xz >> vec2u(4u));
    let second = vec4u(pair[1].xz, pair[1].xz >> vec2u(4u));
    return array(
      joinNibbles(first, vec4u(pair[0].yw, pair[0].yw >> vec2u(4u))),
      joinNibbles(second, vec4u(pair[1].yw, pair[1].yw >> vec2u(4u))),
    );
  }
  let even = vec4u(pair[0].xz, pair[1].xz);
  let odd = vec4u(pair[0].yw, pair[1].yw);
  return array(joinNibbles(even, odd), joinNibbles(even >> vec4u(4u), odd >> vec4u(4u)));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = (id.x + id.y * grid.x * 64u) * VECTORS_PER_INVOCATION;
  if (index >= params.numRows * params.vectorsPerRow) {
    return;
  }
  let row = index / params.vectorsPerRow;
  let vectorInRow = index % params.vectorsPerRow;
  let block = vectorInRow / VECTORS_PER_PART;
  let part = (row * params.blocksPerRow + block) * BLOCK_BYTES + PART_OFFSET;
  let isPadding = block >= params.blocksPerRow;
  if (VECTORS_PER_INVOCATION == 2u) {
    var pair = array<vec4u, 2>();
    if (!isPadding) {
      pair = vectorPair(part, vectorInRow % VECTORS_PER_PART);
    }
    stream[params.firstVector + index] = pair[0];
    stream[params.firstVector + index + 1u] = pair[1];
    return;
  }
  var vector = vec4u();
  if (!isPadding) {
    if (HAS_NIBBLES) {
      vector = nibbleVector(part, vectorInRow % VECTORS_PER_PART);
    } else {
      vector = sourceVector(part + vectorInRow % VECTORS_PER_PART * 16u);
    }
  }
  stream[params.firstVector + index] = vector;
}
