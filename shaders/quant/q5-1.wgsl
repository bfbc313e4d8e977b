// Nibbles, and a header for 32 weights: a pair of F16 (scale and minimum), 32 fifth bits.
@group(0) @binding(1) var<storage, read> headers: array<vec2u>;

struct Chunk {
  quants: vec4u,
  highBits: u32,
  affine: vec2f,
}
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  let header = headers[index];
  return Chunk(quants[index], header.y, unpack2x16float(header.x));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  let quad = nibblesOf(chunk.quants, place) | (spreadBits(chunk.highBits, place) << 4u);
  return chunk.affine.x * vec4f(unpack4xU8(quad)) + chunk.affine.y;
}
