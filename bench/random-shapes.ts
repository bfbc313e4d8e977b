/** Shapes of published models, for random weights: an architecture, its sizes, and what its family has beyond Llama's. */
import type { Value } from './gguf-writer.ts';

export interface ModelShape {
  readonly dim: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly ffnDim: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly ropeBase: number;
  /** The output matrix is the embedding's: no `output.weight` in the file. */
  readonly isTied: boolean;
  /** `general.architecture`; absent: `llama`. */
  readonly architecture?: string;
  /** Absent: dim / numHeads. */
  readonly headDim?: number;
  readonly hasQkvBias?: boolean;
  /** Biases behind attention and in the feed-forward block. */
  readonly hasOutputBiases?: boolean;
  /** Norms are random numbers around 1 instead of ones. */
  readonly hasRandomNorms?: boolean;
  /** Small vectors of their own, by name: divisors of the rotary frequencies. */
  readonly vectors?: Readonly<Record<string, readonly number[]>>;
  readonly hasHeadNorms?: boolean;
  readonly hasPostNorms?: boolean;
  /** One matrix for q, k and v, one for gate and up. */
  readonly isFused?: boolean;
  /** `ffnDim` is that of one expert. */
  readonly experts?: { readonly count: number; readonly used: number };
  /** gpt-oss: sinks, biases everywhere, the feed-forward norm under the post norm's name. */
  readonly hasSinksAndBiases?: boolean;
  /** Further metadata, under the architecture's prefix. */
  readonly metadata?: Readonly<Record<string, Value>>;
}

const llama = {
  vocabularySize: 32_000,
  contextLength: 2048,
  ropeBase: 10_000,
  isTied: true,
};

const gptOss = {
  architecture: 'gpt-oss',
  headDim: 64,
  contextLength: 131_072,
  ropeBase: 150_000,
  isTied: false,
  hasQkvBias: true,
  hasSinksAndBiases: true,
  metadata: {
    'attention.sliding_window': { u32: 128 },
    'rope.scaling.type': { string: 'yarn' },
    'rope.scaling.factor': { f32: 32 },
    'rope.scaling.original_context_length': { u32: 4096 },
  },
} as const;

/** By name and parameter count. Source: the models' configurations. */
export const SHAPES = {
  'llama-15m': { ...llama, dim: 288, numLayers: 6, numHeads: 6, numKvHeads: 6, ffnDim: 768 },
  'llama-110m': { ...llama, dim: 768, numLayers: 12, numHeads: 12, numKvHeads: 12, ffnDim: 2048 },
  'llama-1b': {
    ...llama,
    dim: 2048,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    ffnDim: 8192,
    contextLength: 4096,
    ropeBase: 500_000,
  },
  'llama-3.2-1b': {
    dim: 2048,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    ffnDim: 8192,
    vocabularySize: 128_256,
    contextLength: 131_072,
    ropeBase: 500_000,
    isTied: true,
  },
  'llama-3.1-8b': {
    dim: 4096,
    numLayers: 32,
    numHeads: 32,
    numKvHeads: 8,
    ffnDim: 14_336,
    vocabularySize: 128_256,
    contextLength: 131_072,
    ropeBase: 500_000,
    isTied: false,
  },
  'qwen2.5-0.5b': {
    architecture: 'qwen2',
    dim: 896,
    numLayers: 24,
    numHeads: 14,
    numKvHeads: 2,
    ffnDim: 4864,
    vocabularySize: 151_936,
    contextLength: 32_768,
    ropeBase: 1_000_000,
    isTied: true,
    hasQkvBias: true,
  },
  'qwen3-0.6b': {
    architecture: 'qwen3',
    dim: 1024,
    numLayers: 28,
    numHeads: 16,
    numKvHeads: 8,
    headDim: 128,
    ffnDim: 3072,
    vocabularySize: 151_936,
    contextLength: 40_960,
    ropeBase: 1_000_000,
    isTied: true,
    hasHeadNorms: true,
  },
  'phi-3-mini': {
    architecture: 'phi3',
    dim: 3072,
    numLayers: 32,
    numHeads: 32,
    numKvHeads: 32,
    ffnDim: 8192,
    vocabularySize: 32_064,
    contextLength: 4096,
    ropeBase: 10_000,
    isTied: false,
    isFused: true,
    metadata: { 'rope.scaling.original_context_length': { u32: 4096 } },
  },
  'gemma-2-2b': {
    architecture: 'gemma2',
    dim: 2304,
    numLayers: 26,
    numHeads: 8,
    numKvHeads: 4,
    headDim: 256,
    ffnDim: 9216,
    vocabularySize: 256_000,
    contextLength: 8192,
    ropeBase: 10_000,
    isTied: true,
    hasPostNorms: true,
    metadata: {
      'attention.sliding_window': { u32: 4096 },
      attn_logit_softcapping: { f32: 50 },
      final_logit_softcapping: { f32: 30 },
    },
  },
  'gemma-3-1b': {
    architecture: 'gemma3',
    dim: 1152,
    numLayers: 26,
    numHeads: 4,
    numKvHeads: 1,
    headDim: 256,
    ffnDim: 6912,
    vocabularySize: 262_144,
    contextLength: 32_768,
    ropeBase: 1_000_000,
    isTied: true,
    hasPostNorms: true,
    hasHeadNorms: true,
    metadata: { 'attention.sliding_window': { u32: 512 } },
  },
  'qwen3-30b-a3b': {
    architecture: 'qwen3moe',
    dim: 2048,
    numLayers: 48,
    numHeads: 32,
    numKvHeads: 4,
    headDim: 128,
    ffnDim: 768,
    vocabularySize: 151_936,
    contextLength: 40_960,
    ropeBase: 1_000_000,
    isTied: false,
    hasHeadNorms: true,
    experts: { count: 128, used: 8 },
  },
  'gpt-oss-20b': {
    ...gptOss,
    dim: 2880,
    numLayers: 24,
    numHeads: 64,
    numKvHeads: 8,
    ffnDim: 2880,
    vocabularySize: 201_088,
    experts: { count: 32, used: 4 },
  },
  /** gpt-oss's structure at a size that a software adapter runs. */
  'gpt-oss-100m': {
    ...gptOss,
    dim: 512,
    numLayers: 6,
    numHeads: 8,
    numKvHeads: 2,
    ffnDim: 512,
    vocabularySize: 32_000,
    experts: { count: 16, used: 4 },
  },
} as const satisfies Record<string, ModelShape>;

export type ShapeName = keyof typeof SHAPES;
