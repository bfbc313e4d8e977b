// F32 weights, rows padded to blocks of 32.
@group(0) @binding(0) var<storage, read> weights: array<vec4f>;

alias Chunk = vec4f;
const CHUNK_QUADS = 1u;

fn loadChunk(index: u32) -> Chunk {
  return weights[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk;
}
