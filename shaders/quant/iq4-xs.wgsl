// Nibbles that stand for unevenly spaced levels, in blocks of 256 with a header: one F16, eight scales of six bits.
@group(0) @binding(1) var<storage, read> headers: array<vec2u>;

struct Chunk {
  quants: vec4u,
  scale: f32,
}
const CHUNK_QUADS = 8u;

// The upper two bits of the scales follow the F16, their lower four are in the second word.
fn loadChunk(index: u32) -> Chunk {
  let header = headers[index / 8u];
  let part = index & 7u;
  let low = (header.y >> (4u * part)) & 15u;
  let high = (header.x >> (16u + 2u * part)) & 3u;
  return Chunk(quants[index], unpack2x16float(header.x).x * f32(i32(low | (high << 4u)) - 32));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.scale * levelsOf(IQ4_LEVELS, nibblesOf(chunk.quants, place));
}
