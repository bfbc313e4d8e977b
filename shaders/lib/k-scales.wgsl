// Scale and minimum of 32 weights, six bits each, from the header that Q4_K and Q5_K blocks of 256 begin with:
// two F16 units, then four bytes of scales 0 to 3, four of minima 0 to 3 (their top bits are of 4 to 7), four of the rest.
fn affineOf(header: vec4u, part: u32) -> vec2f {
  let byte = 8u * (part & 3u);
  let scale = (header.y >> byte) & 0xffu;
  let minimum = (header.z >> byte) & 0xffu;
  let rest = (header.w >> byte) & 0xffu;
  let lower = vec2u(scale & 63u, minimum & 63u);
  let upper = vec2u((rest & 15u) | ((scale >> 6u) << 4u), (rest >> 4u) | ((minimum >> 6u) << 4u));
  return unpack2x16float(header.x) * vec2f(select(lower, upper, part >= 4u)) * vec2f(1.0, -1.0);
}
