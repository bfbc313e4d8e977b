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
