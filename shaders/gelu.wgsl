// x = x * Phi(x), in place; one invocation an element.

struct Params {
  numElements: u32,
}
var<immediate> params: Params;

@group(0) @binding(0) var<storage, read_write> x: array<Act>;

// 1 - erf(a) for a >= 0, to 1.5e-7. Source: Abramowitz & Stegun 1964, equation 7.1.26.
fn complementaryError(a: f32) -> f32 {
  let t = 1f / (1f + 0.3275911f * a);
  let series = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return series * exp(-a * a);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) numWorkgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (workgroup.x + workgroup.y * numWorkgroups.x) * WORKGROUP_SIZE + local;
  if (i >= params.numElements) { return; }
  let value = f32(x[i]);
  // Beyond 9 the tail is below the smallest float; a square of more might become an infinity.
  let tail = 0.5f * complementaryError(min(abs(value) * 0.70710678118654752f, 9f));
  x[i] = Act(value * select(tail, 1f - tail, value > 0f));
}
