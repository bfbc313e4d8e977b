// F16 weights, rows padded to blocks of 32.
@group(0) @binding(0) var<storage, read> weights: array<vec4u>;

alias Chunk = vec4u;
const CHUNK_QUADS = 2u;

fn loadChunk(index: u32) -> Chunk {
  return weights[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return vec4f(unpack2x16float(chunk[place * 2u]), unpack2x16float(chunk[place * 2u + 1u]));
}
