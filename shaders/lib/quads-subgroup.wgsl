// The eight lanes of a subgroup read one quad of a block each and broadcast it: on adapters that turn a load into a loop
// over lanes, this is an eighth of the loads.
fn ownQuad(token: u32, block: u32, lane: u32) -> vec4f {
  return loadQuad(token, block * 8u + lane);
}

// `place` must be a literal at the call, since a broadcast names its lane by a constant.
fn sharedQuad(own: vec4f, token: u32, block: u32, place: u32) -> vec4f {
  switch (place) {
    case 0u: { return subgroupBroadcast(own, 0u); }
    case 1u: { return subgroupBroadcast(own, 1u); }
    case 2u: { return subgroupBroadcast(own, 2u); }
    case 3u: { return subgroupBroadcast(own, 3u); }
    case 4u: { return subgroupBroadcast(own, 4u); }
    case 5u: { return subgroupBroadcast(own, 5u); }
    case 6u: { return subgroupBroadcast(own, 6u); }
    default: { return subgroupBroadcast(own, 7u); }
  }
}
