// x = (x + delta + shift - mean) / deviation * weight + bias, in place and copied to y; LANES invocations share a row.

struct Params {
  numRows: u32,
  dim: u32,
  eps: f32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Act>;
@group(0) @binding(4) var<storage, read> delta: array<Delta>;
@group(0) @binding(5) var<storage, read> shift: array<f32>;

fn summed(first: u32, column: u32) -> f32 {
  var value = x[first + column];
  if (HAS_DELTA) { value += f32(delta[first + column]); }
  if (HAS_SHIFT) { value += shift[column]; }
  return value;
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
  let first = min(row, params.numRows - 1u) * params.dim;
  let lane = local % LANES;
  var sum = 0f;
  for (var i = lane; i < params.dim; i += LANES) { sum += summed(first, i); }
  let mean = reduceSum(sum, local) / f32(params.dim);
  var squares = 0f;
  for (var i = lane; i < params.dim; i += LANES) {
    let difference = summed(first, i) - mean;
    squares += difference * difference;
  }
  let factor = inverseSqrt(reduceSum(squares, local) / f32(params.dim) + params.eps);
  if (!inBatch) { return; }
  for (var i = lane; i < params.dim; i += LANES) {
    let value = (summed(first, i) - mean) * factor * weight[i] + bias[i];
    x[first + i] = value;
    y[first + i] = Act(value);
  }
}
