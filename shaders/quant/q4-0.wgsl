// Nibbles, and F16 scales of 32 weights.
alias Chunk = vec4u;
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return vec4f(unpack4xU8(nibblesOf(chunk, place))) - 8.0;
}
