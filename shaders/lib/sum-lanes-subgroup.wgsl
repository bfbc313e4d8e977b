// Sum over LANES neighbouring invocations by exchange within a subgroup, which has at least LANES lanes
// and holds neighbours, as every known adapter lays out a one-dimensional workgroup.
fn sumLanes(value: f32, local: u32) -> f32 {
  var sum = value;
  for (var distance = LANES / 2u; distance > 0u; distance /= 2u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  return sum;
}
