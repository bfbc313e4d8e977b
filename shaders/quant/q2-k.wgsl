// Two-bit weights in blocks of 256: bit pairs, a byte of scale and minimum for 16 weights, and two F16: their units.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> scales: array<u32>;
@group(0) @binding(2) var<storage, read> blockScales: array<u32>;

// 16 weights and what they are scaled and shifted by.
struct Chunk {
  quants: vec4u,
  affine: vec2f,
}
const CHUNK_QUADS = 4u;

// A block is two halves of 128 weights; a half four quarters of 32, which share their bytes.
fn loadChunk(index: u32) -> Chunk {
  let block = index / 16u;
  let half = (index / 8u) & 1u;
  let quarter = (index / 2u) & 3u;
  let place = index & 1u;
  let pairs = (quants[block * 4u + half * 2u + place] >> vec4u(quarter * 2u)) & vec4u(0x03030303u);
  let scale = (scales[index / 4u] >> (8u * (index & 3u))) & 0xffu;
  let units = unpack2x16float(blockScales[block]);
  return Chunk(pairs, units * vec2f(f32(scale & 15u), -f32(scale >> 4u)));
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.affine.x * vec4f(unpack4xU8(chunk.quants[place])) + chunk.affine.y;
}
