// 32 weights of four bits in order, the first in the lowest bits of a word.
@group(0) @binding(0) var<storage, read> quants: array<vec4u>;

// Four neighbours, one to a byte.
fn nibblesOf(words: vec4u, place: u32) -> u32 {
  let packed = (words[place / 2u] >> (16u * (place % 2u))) & 0xffffu;
  let spread = (packed | (packed << 8u)) & 0x00ff00ffu;
  return (spread | (spread << 4u)) & 0x0f0f0f0fu;
}
