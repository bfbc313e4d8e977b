// Four-bit weights in blocks of 256: nibbles, and a header with the scales and minima of 32 weights.
@group(0) @binding(1) var<storage, read> headers: array<vec4u>;

struct Chunk {
  quants: vec4u,
  affine: vec2f,
}
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return Chunk(quants[index], affineOf(headers[index / 8u], index & 7u));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.affine.x * vec4f(unpack4xU8(nibblesOf(chunk.quants, place))) + chunk.affine.y;
}
