/** Mixtures of experts of published shapes: gpt-oss-20b and Qwen3-30B-A3B. */
export const MIXTURES = [
  { numExperts: 32, expertsPerToken: 4, dim: 2880 },
  { numExperts: 128, expertsPerToken: 8, dim: 2048 },
];
