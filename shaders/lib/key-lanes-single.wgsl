// One invocation scores a key alone.

const KEY_LANES = 1u;

fn sumKeyLanes(value: f32) -> f32 { return value; }
