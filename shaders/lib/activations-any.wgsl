// Rows of activations of any length, read one by one; zero beyond the end, where weights are padded.
@group(0) @binding(4) var<storage, read> x: array<X>;

fn activation(row: u32, column: u32) -> f32 {
  let value = f32(x[row * params.columns + min(column, params.columns - 1u)]);
  return select(0.0, value, column < params.columns);
}

fn loadQuad(row: u32, quad: u32) -> vec4f {
  let column = quad * 4u;
  return vec4f(
    activation(row, column),
    activation(row, column + 1u),
    activation(row, column + 2u),
    activation(row, column + 3u),
  );
}
