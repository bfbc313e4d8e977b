// Rows of activations whose length is a multiple of 32, read four neighbours (a quad) at a time.
@group(0) @binding(4) var<storage, read> x: array<XQuad>;

fn loadQuad(row: u32, quad: u32) -> vec4f {
  return vec4f(x[row * (params.columns / 4u) + quad]);
}
