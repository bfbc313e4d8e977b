// Five-bit weights in blocks of 256: nibbles, a plane of fifth bits, and a header with the scales and minima of 32 weights.
@group(0) @binding(1) var<storage, read> headers: array<vec4u>;
@group(0) @binding(2) var<storage, read> highBits: array<vec4u>;

struct Chunk {
  quants: vec4u,
  // Weights 0 to 15, then 16 to 31: one bit a byte.
  lowerHighBits: vec4u,
  upperHighBits: vec4u,
  affine: vec2f,
}
const CHUNK_QUADS = 8u;

// Byte l of the plane has weight l of all eight parts of 32.
fn loadChunk(index: u32) -> Chunk {
  let block = index / 8u;
  let part = index & 7u;
  return Chunk(
    quants[index],
    (highBits[block * 2u] >> vec4u(part)) & vec4u(0x01010101u),
    (highBits[block * 2u + 1u] >> vec4u(part)) & vec4u(0x01010101u),
    affineOf(headers[block], part),
  );
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  let high = select(chunk.lowerHighBits[place & 3u], chunk.upperHighBits[place & 3u], place >= 4u);
  return chunk.affine.x * vec4f(unpack4xU8(nibblesOf(chunk.quants, place) | (high << 4u))) + chunk.affine.y;
}
