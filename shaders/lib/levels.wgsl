// The signed bytes that four nibbles, one to a byte, stand for. Selected, not indexed: an array in memory is slow on some drivers.
fn levelsOf(table: vec4u, nibbles: u32) -> vec4f {
  let index = unpack4xU8(nibbles);
  let isOdd = (index & vec4u(4u)) != vec4u();
  let lower = select(table.xxxx, table.yyyy, isOdd);
  let upper = select(table.zzzz, table.wwww, isOdd);
  let word = select(lower, upper, (index & vec4u(8u)) != vec4u());
  return vec4f(bitcast<vec4i>(word << (vec4u(24u) - 8u * (index & vec4u(3u)))) >> vec4u(24u));
}
