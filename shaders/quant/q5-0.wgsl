// Nibbles, a word of 32 fifth bits, and F16 scales of 32 weights.
@group(0) @binding(2) var<storage, read> highBits: array<u32>;

struct Chunk {
  quants: vec4u,
  highBits: u32,
}
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return Chunk(quants[index], highBits[index]);
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  let quad = nibblesOf(chunk.quants, place) | (spreadBits(chunk.highBits, place) << 4u);
  return vec4f(unpack4xU8(quad)) - 16.0;
}
