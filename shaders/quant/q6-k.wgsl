// Six-bit weights in blocks of 256: nibbles, bit pairs, signed scales of 16 weights, and an F16 in the low half of a word.
@group(0) @binding(0) var<storage, read> lowBits: array<vec4u>;
@group(0) @binding(1) var<storage, read> highBits: array<vec4u>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> blockScales: array<u32>;

// 16 weights, joined from both planes.
struct Chunk {
  quants: vec4u,
  scale: f32,
}
const CHUNK_QUADS = 4u;

// A block is two halves of 128 weights; a half four quarters of 32, two to a byte of nibbles, four to a byte of pairs.
fn loadChunk(index: u32) -> Chunk {
  let block = index / 16u;
  let half = (index / 8u) & 1u;
  let quarter = (index / 2u) & 3u;
  let place = index & 1u;
  let low = lowBits[block * 8u + half * 4u + (quarter & 1u) * 2u + place] >> vec4u((quarter >> 1u) * 4u);
  let high = highBits[block * 4u + half * 2u + place] >> vec4u(quarter * 2u);
  let scale = unpack4xI8(scales[index / 4u])[index & 3u];
  return Chunk((low & vec4u(0x0f0f0f0fu)) | ((high & vec4u(0x03030303u)) << vec4u(4u)), f32(scale));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.scale * (vec4f(unpack4xU8(chunk.quants[place])) - 32.0);
}

// Rows have whole blocks of 256, eight of 32 each.
fn loadScale(row: u32, numBlocks: u32, block: u32) -> f32 {
  return unpack2x16float(blockScales[(row * numBlocks + block) / 8u]).x;
}
