// Gathers one part of each GGUF block of some rows into its stream: one invocation per word of the stream.
struct Params {
  numRows: u32,
  blocksPerRow: u32,
  wordsPerRow: u32,
  firstWord: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> stream: array<u32>;

fn sourceByte(offset: u32) -> u32 {
  return (source[offset / 4u] >> ((offset % 4u) * 8u)) & 0xffu;
}

// Blocks begin at any byte. A shift by 32 is undefined, hence two shifts for the upper part.
fn sourceWord(offset: u32) -> u32 {
  let shift = (offset % 4u) * 8u;
  return (source[offset / 4u] >> shift) | ((source[offset / 4u + 1u] << (31u - shift)) << 1u);
}

// Four neighbouring weights, one to a byte.
fn sourceNibbles(part: u32, weight: u32) -> u32 {
  let pair = weight / (2u * NIBBLE_DISTANCE);
  let place = weight % (2u * NIBBLE_DISTANCE);
  let bytes = sourceWord(part + pair * NIBBLE_DISTANCE + place % NIBBLE_DISTANCE);
  return (bytes >> (4u * (place / NIBBLE_DISTANCE))) & 0x0f0f0f0fu;
}

fn partOf(row: u32, block: u32) -> u32 {
  return (row * params.blocksPerRow + block) * BLOCK_BYTES + PART_OFFSET;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * 64u;
  if (index >= params.numRows * params.wordsPerRow) {
    return;
  }
  let row = index / params.wordsPerRow;
  let byteInRow = (index % params.wordsPerRow) * 4u;
  var word = 0u;
  if (BYTES_PER_BLOCK % 4u == 0u) {
    let block = byteInRow / BYTES_PER_BLOCK;
    let byteInPart = byteInRow % BYTES_PER_BLOCK;
    if (block < params.blocksPerRow) {
      let part = partOf(row, block);
      if (HAS_NIBBLES) {
        word = sourceNibbles(part, byteInPart * 2u) | (sourceNibbles(part, byteInPart * 2u + 4u) << 4u);
      } else {
        word = sourceWord(part + byteInPart);
      }
    }
  } else {
    for (var i = 0u; i < 4u; i++) {
      let block = (byteInRow + i) / BYTES_PER_BLOCK;
      if (block < params.blocksPerRow) {
        word |= sourceByte(partOf(row, block) + (byteInRow + i) % BYTES_PER_BLOCK) << (8u * i);
      }
    }
  }
  stream[params.firstWord + index] = word;
}
