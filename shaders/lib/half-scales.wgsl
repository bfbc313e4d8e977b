// One F16 scale for 32 weights, two a word, rows padded to whole words.
@group(0) @binding(1) var<storage, read> scales: array<u32>;

fn loadScale(row: u32, numBlocks: u32, block: u32) -> f32 {
  let pair = unpack2x16float(scales[row * ((numBlocks + 1u) / 2u) + block / 2u]);
  return select(pair.x, pair.y, (block & 1u) != 0u);
}
