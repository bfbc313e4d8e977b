// Eight neighbouring lanes of a subgroup score a key together, so that its row is read in one sweep.

const KEY_LANES = 8u;

fn sumKeyLanes(value: f32) -> f32 {
  var sum = value + subgroupShuffleXor(value, 1u);
  sum += subgroupShuffleXor(sum, 2u);
  return sum + subgroupShuffleXor(sum, 4u);
}
