// Three-bit weights in blocks of 256: bit pairs, a plane of third bits, and a header: sixteen scales of six bits, one F16.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> highBits: array<vec4u>;
@group(0) @binding(2) var<storage, read> headers: array<vec4u>;

// 16 weights, joined from both planes.
struct Chunk {
  quants: vec4u,
  scale: f32,
}
const CHUNK_QUADS = 4u;

// A block is two halves of 128 weights; a half four quarters of 32. Byte l of the third bits has weight l of all quarters.
fn loadChunk(index: u32) -> Chunk {
  let block = index / 16u;
  let half = (index / 8u) & 1u;
  let quarter = (index / 2u) & 3u;
  let place = index & 1u;
  let low = quants[block * 4u + half * 2u + place] >> vec4u(quarter * 2u);
  let high = highBits[block * 2u + place] >> vec4u(half * 4u + quarter);
  let quads = (low & vec4u(0x03030303u)) | ((high & vec4u(0x01010101u)) << vec4u(2u));
  return Chunk(quads, f32(scaleOf(headers[block], index & 15u)) * unpack2x16float(headers[block].w).x);
}

// Scales 0 to 7 have their low bits in the low nibbles of eight bytes, 8 to 15 in the high ones; four bytes hold pairs of high bits.
fn scaleOf(header: vec4u, index: u32) -> i32 {
  let byte = 8u * (index & 3u);
  let low = (select(header.x, header.y, (index & 4u) != 0u) >> (byte + 4u * (index / 8u))) & 15u;
  let high = (header.z >> (byte + 2u * (index / 4u))) & 3u;
  return i32(low | (high << 4u)) - 32;
}

fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  return chunk.scale * (vec4f(unpack4xU8(chunk.quants[place])) - 4.0);
}
