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

fn sourceNibble(part: u32, weight: u32) -> u32 {
  let pair = weight / (2u * NIBBLE_DISTANCE);
  let place = weight % (2u * NIBBLE_DISTANCE);
  let byte = sourceByte(part + pair * NIBBLE_DISTANCE + place % NIBBLE_DISTANCE);
  return (byte >> (4u * (place / NIBBLE_DISTANCE))) & 0xfu;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * 64u;
  if (index >= params.numRows * params.wordsPerRow) {
    return;
  }
  let row = index / params.wordsPerRow;
  var word = 0u;
  for (var i = 0u; i < 4u; i++) {
    let byteInRow = (index % params.wordsPerRow) * 4u + i;
    let block = byteInRow / BYTES_PER_BLOCK;
    if (block < params.blocksPerRow) {
      let byteInPart = byteInRow % BYTES_PER_BLOCK;
      let part = (row * params.blocksPerRow + block) * BLOCK_BYTES + PART_OFFSET;
      var byte: u32;
      if (HAS_NIBBLES) {
        let weight = (byteInPart / 4u) * 8u + byteInPart % 4u;
        byte = sourceNibble(part, weight) | (sourceNibble(part, weight + 4u) << 4u);
      } else {
        byte = sourceByte(part + byteInPart);
      }
      word |= byte << (8u * i);
    }
  }
  stream[params.firstWord + index] = word;
}
