// Rows of activations of any length, read one by one; zero beyond the end, where weights are padded.
@group(0) @binding(4) var<storage, read> x: array<X>;

fn activation(row: u32, column: u32) -> f32 {
  if (column >= params.columns) {
    return 0.0;
  }
  return f32(x[row * params.columns + column]);
}

fn activations4(row: u32, column: u32) -> vec4f {
  return vec4f(
    activation(row, column),
    activation(row, column + 1u),
    activation(row, column + 2u),
    activation(row, column + 3u),
  );
}

fn loadActivations(row: u32, octet: u32) -> mat2x4f {
  return mat2x4f(activations4(row, octet * 8u), activations4(row, octet * 8u + 4u));
}
