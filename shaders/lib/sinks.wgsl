// A logit of each query head that takes part in the softmax and has no value.
@group(0) @binding(5) var<storage, read> sinks: array<f32>;

const HAS_SINKS = true;

fn sinkOf(head: u32) -> f32 { return sinks[head]; }
