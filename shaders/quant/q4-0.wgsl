// Nibbles, eight neighbours a word (weights 0 to 3 in the low nibbles), and F16 scales of 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;

alias Chunk = vec4u;
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return vec4f(unpack4xU8((chunk[place / 2u] >> (4u * (place % 2u))) & 0x0f0f0f0fu)) - 8.0;
}

fn loadScale(scaleRow: u32, block: u32) -> f32 {
  let pair = unpack2x16float(scales[scaleRow + block / 2u]);
  return select(pair.x, pair.y, (block & 1u) != 0u);
}
