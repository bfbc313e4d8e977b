// Reductions over LANES = 1 invocation: nothing to do, and no barrier.

fn reduceSum(value: f32, local: u32) -> f32 { return value; }

fn reduceMax(value: f32, local: u32) -> f32 { return value; }

fn reduceMin(value: u32, local: u32) -> u32 { return value; }
