// For formats whose weights come out of `decodeQuad` complete.
fn loadScale(row: u32, numBlocks: u32, block: u32) -> f32 {
  return 1.0;
}
