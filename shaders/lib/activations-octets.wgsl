// Rows of activations whose length is a multiple of eight.
@group(0) @binding(4) var<storage, read> x: array<XVector>;

fn loadActivations(row: u32, octet: u32) -> mat2x4f {
  let at = row * (params.columns / 4u) + octet * 2u;
  return mat2x4f(vec4f(x[at]), vec4f(x[at + 1u]));
}
