// Eight-bit floats (E4M3), and an F32 scale for 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;

alias Chunk = vec4u;
const CHUNK_QUADS = 4u;

fn loadChunk(index: u32) -> Chunk {
  return quants[index];
}

// Sign, four bits of exponent (bias 7), three of fraction; no infinity. Exponent 0 is subnormal: fraction · 2^-9.
fn decodeQuad(chunk: Chunk, place: u32) -> vec4f {
  let bits = unpack4xU8(chunk[place]);
  let sign = (bits & vec4u(0x80u)) << vec4u(24u);
  let normal = bitcast<vec4f>(sign | (((bits & vec4u(0x7fu)) << vec4u(20u)) + vec4u(120u << 23u)));
  let fraction = vec4f(bits & vec4u(7u)) * 0.001953125;
  let subnormal = select(fraction, -fraction, sign != vec4u());
  return select(normal, subnormal, (bits & vec4u(0x78u)) == vec4u());
}

fn loadScale(row: u32, numBlocks: u32, block: u32) -> f32 {
  return scales[row * numBlocks + block];
}
