// Nibbles that stand for unevenly spaced levels, and F16 scales of 32 weights.
alias Chunk = vec4u;
const CHUNK_QUADS = 8u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return levelsOf(IQ4_LEVELS, nibblesOf(chunk, place));
}
