// Every invocation reads the activations it needs by itself.
fn ownQuad(token: u32, block: u32, lane: u32) -> vec4f {
  return vec4f();
}

fn sharedQuad(own: vec4f, token: u32, block: u32, place: u32) -> vec4f {
  return loadQuad(token, block * 8u + place);
}
