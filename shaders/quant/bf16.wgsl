// BF16 weights, the upper halves of F32, rows padded to blocks of 32.
@group(0) @binding(0) var<storage, read> weights: array<vec4u>;

alias Chunk = vec4u;
const CHUNK_QUADS = 2u;

fn loadChunk(index: u32) -> Chunk {
  return weights[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  let low = chunk[place * 2u];
  let high = chunk[place * 2u + 1u];
  return bitcast<vec4f>(vec4u(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u));
}
