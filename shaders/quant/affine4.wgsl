// Nibbles in order, and a pair for 32 weights: scale and bias.
@group(0) @binding(1) var<storage, read> pairs: array<u32>;

struct Chunk {
  quants: vec4u,
  affine: vec2f,
}
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return Chunk(quants[index], pairOf(pairs[index]));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.affine.x * vec4f(unpack4xU8(nibblesOf(chunk.quants, place))) + chunk.affine.y;
}
