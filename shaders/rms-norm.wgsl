// y = (x + delta) / rms(x + delta) * weight; LANES invocations share a row.

struct Params {
  numRows: u32,
  dim: u32,
  eps: f32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Act>;
@group(0) @binding(3) var<storage, read> delta: array<Delta>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> deltaWeight: array<f32>;

// Element `column` of the row that begins at `first`; `deltaFactor` is one over the root mean square of its delta.
fn residual(first: u32, column: u32, deltaFactor: f32) -> f32 {
  let i = first + column;
  if (NORMALIZES_DELTA) { return x[i] + f32(delta[i]) * deltaFactor * deltaWeight[column]; }
  if (HAS_DELTA) { return x[i] + f32(delta[i]); }
  return x[i];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (workgroup.x + workgroup.y * numWorkgroups.x) * (WORKGROUP_SIZE / LANES) + local / LANES;
  // Rows beyond the batch work on its last row and write nothing: the reduction must be reached by all invocations.
  let inBatch = row < params.numRows;
  var source = min(row, params.numRows - 1u);
  if (HAS_ROWS) { source = rows[source]; }
  let first = source * params.dim;
  let lane = local % LANES;
  var deltaFactor = 1f;
  if (NORMALIZES_DELTA) {
    var deltaSquares = 0f;
    for (var i = lane; i < params.dim; i += LANES) {
      let value = f32(delta[first + i]);
      deltaSquares += value * value;
    }
    deltaFactor = inverseSqrt(reduceSum(deltaSquares, local) / f32(params.dim) + params.eps);
  }
  var squares = 0f;
  for (var i = lane; i < params.dim; i += LANES) {
    let value = residual(first, i, deltaFactor);
    squares += value * value;
  }
  let factor = inverseSqrt(reduceSum(squares, local) / f32(params.dim) + params.eps);
  if (!inBatch) { return; }
  for (var i = lane; i < params.dim; i += LANES) {
    let value = residual(first, i, deltaFactor);
    y[row * params.dim + i] = Act(value * factor * weight[i]);
    if (HAS_DELTA && !HAS_ROWS) { x[first + i] = value; }
  }
}
