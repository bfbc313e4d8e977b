// 32 weights of four bits, eight neighbours a word: weights 0 to 3 in the low nibbles, 4 to 7 in the high ones.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;

// Four neighbours, one to a byte.
fn nibblesOf(words: vec4u, place: u32) -> u32 {
  return (words[place / 2u] >> (4u * (place % 2u))) & 0x0f0f0f0fu;
}

// Bits 4 · place … + 3, one at the bottom of each byte: the product moves them there.
fn spreadBits(bits: u32, place: u32) -> u32 {
  return (((bits >> (4u * place)) & 15u) * 0x00204081u) & 0x01010101u;
}

// The signed bytes that four nibbles, one to a byte, stand for. Selected, not indexed: an array in memory is slow on some drivers.
fn levelsOf(table: vec4u, nibbles: u32) -> vec4f {
  let index = unpack4xU8(nibbles);
  let isOdd = (index & vec4u(4u)) != vec4u();
  let lower = select(table.xxxx, table.yyyy, isOdd);
  let upper = select(table.zzzz, table.wwww, isOdd);
  let word = select(lower, upper, (index & vec4u(8u)) != vec4u());
  return vec4f(bitcast<vec4i>(word << (vec4u(24u) - 8u * (index & vec4u(3u)))) >> vec4u(24u));
}
