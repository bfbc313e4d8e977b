@group(0) @binding(6) var<storage, read> bias: array<f32>;

fn biasOf(column: u32) -> f32 { return bias[column]; }
