// Eight neighbouring elements, F16 or F32, as 16-byte loads of their bits: a load costs the same however wide it is.

struct Octet {
  low: vec4f,
  high: vec4f,
}

fn octetOfHalves(bits: vec4u) -> Octet {
  return Octet(
    vec4f(unpack2x16float(bits.x), unpack2x16float(bits.y)),
    vec4f(unpack2x16float(bits.z), unpack2x16float(bits.w)),
  );
}

fn octetOfFloats(low: vec4u, high: vec4u) -> Octet {
  return Octet(bitcast<vec4f>(low), bitcast<vec4f>(high));
}

fn halvesOfOctet(value: Octet) -> vec4u {
  return vec4u(
    pack2x16float(value.low.xy),
    pack2x16float(value.low.zw),
    pack2x16float(value.high.xy),
    pack2x16float(value.high.zw),
  );
}

fn octetDot(a: Octet, b: Octet) -> f32 { return dot(a.low, b.low) + dot(a.high, b.high); }
