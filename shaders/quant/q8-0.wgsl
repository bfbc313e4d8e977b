// Signed bytes, and F16 scales of 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;

alias Chunk = vec4u;
const CHUNK_QUADS = 4u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return vec4f(unpack4xI8(chunk[place]));
}
