fn biasOf(column: u32) -> f32 { return 0f; }
