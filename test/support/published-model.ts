/**
 * Writes tiny model folders as the hub has them, quantized as published, and beside each its twin in F32 whose weights are
 * what the quantized ones stand for, computed the plain way.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { floatToHalf, halfToFloat } from '../../src/kernels/quant/quant-format.ts';
import { seededRandom } from './random-weights.ts';

interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface PublishedModel {
  readonly config: Readonly<Record<string, unknown>>;
  /** What the quantized folder's config.json has in addition. */
  readonly quantization: Readonly<Record<string, unknown>>;
  readonly quantized: Readonly<Record<string, Stored>>;
  readonly plain: Readonly<Record<string, Stored>>;
}

export const writeModel = (
  folder: string,
  config: Readonly<Record<string, unknown>>,
  tensors: Readonly<Record<string, Stored>>,
): void => {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.byteLength] };
    offset += bytes.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const bodies = Object.values(tensors).map(({ bytes }) => bytes);
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, json, ...bodies]));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
};

const bytesOf = (values: Float32Array | Uint16Array | Uint32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const f32 = (shape: readonly number[], values: readonly number[]): Stored => ({
  dtype: 'F32',
  shape,
  bytes: bytesOf(Float32Array.from(values)),
});

const size = (shape: readonly number[]): number => shape.reduce((product, part) => product * part, 1);

const toBf16 = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;
const fromBf16 = (bits: number): number => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;

const LLAMA_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 384,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};

const MATRICES: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens': [40, 256],
  'model.layers.0.self_attn.q_proj': [256, 256],
  'model.layers.0.self_attn.k_proj': [128, 256],
  'model.layers.0.self_attn.v_proj': [128, 256],
  'model.layers.0.self_attn.o_proj': [256, 256],
  'model.layers.0.mlp.gate_proj': [384, 256],
  'model.layers.0.mlp.up_proj': [384, 256],
  'model.layers.0.mlp.down_proj': [256, 384],
};
const NORMS = ['model.norm', 'model.layers.0.input_layernorm', 'model.layers.0.post_attention_layernorm'];

const norms = (random: () => number): Record<string, Stored> =>
  Object.fromEntries(
    NORMS.map((name) => [
      `${name}.weight`,
      f32(
        [256],
        Array.from({ length: 256 }, () => 0.5 + random()),
      ),
    ]),
  );

/** A Llama quantized as MLX does, 4 bits but for one matrix of 8. */
export const mlxModel = (groupSize: number, scaleType: 'F16' | 'BF16'): PublishedModel => {
  const random = seededRandom(groupSize);
  const wide = 'model.layers.0.mlp.down_proj';
  const quantized: Record<string, Stored> = norms(random);
  const plain: Record<string, Stored> = { ...quantized };
  const [encode, decode] = scaleType === 'F16' ? [floatToHalf, halfToFloat] : [toBf16, fromBf16];
  for (const [name, shape] of Object.entries(MATRICES)) {
    const bits = name === wide ? 8 : 4;
    const [rows, columns] = shape as [number, number];
    const words = Uint32Array.from({ length: (rows * columns * bits) / 32 }, () => Math.floor(random() * 2 ** 32));
    const groups = (rows * columns) / groupSize;
    const scales = Uint16Array.from({ length: groups }, () => encode((0.2 * random()) / 2 ** bits));
    const biases = Uint16Array.from({ length: groups }, () => encode(-0.1 * random()));
    const perWord = 32 / bits;
    const values = Array.from({ length: rows * columns }, (_, i) => {
      const quant = (words[Math.floor(i / perWord)]! >>> ((i % perWord) * bits)) & (2 ** bits - 1);
      const group = Math.floor(i / groupSize);
      return decode(scales[group]!) * quant + decode(biases[group]!);
    });
    const ofGroups = [rows, columns / groupSize];
    quantized[`${name}.weight`] = { dtype: 'U32', shape: [rows, (columns * bits) / 32], bytes: bytesOf(words) };
    quantized[`${name}.scales`] = { dtype: scaleType, shape: ofGroups, bytes: bytesOf(scales) };
    quantized[`${name}.biases`] = { dtype: scaleType, shape: ofGroups, bytes: bytesOf(biases) };
    plain[`${name}.weight`] = f32(shape, values);
  }
  const quantization = { group_size: groupSize, bits: 4, [wide]: { group_size: groupSize, bits: 8 } };
  return { config: LLAMA_CONFIG, quantization: { quantization, quantization_config: quantization }, quantized, plain };
};

/** E4M3 from its definition. */
const floatOfByte = (byte: number): number => {
  const exponent = (byte >> 3) & 15;
  const magnitude = exponent === 0 ? (byte & 7) / 512 : (1 + (byte & 7) / 8) * 2 ** (exponent - 7);
  return byte & 0x80 ? -magnitude : magnitude;
};

/** A Llama in FP8 with a scale for each square of 128 × 128; its embedding is BF16. */
export const fp8Model = (): PublishedModel => {
  const random = seededRandom(8);
  const quantized: Record<string, Stored> = norms(random);
  const plain: Record<string, Stored> = { ...quantized };
  for (const [name, shape] of Object.entries(MATRICES)) {
    const [rows, columns] = shape as [number, number];
    if (name === 'model.embed_tokens') {
      const bits = Uint16Array.from({ length: rows * columns }, () => toBf16(random() - 0.5));
      quantized[`${name}.weight`] = { dtype: 'BF16', shape, bytes: bytesOf(bits) };
      plain[`${name}.weight`] = f32(shape, [...bits].map(fromBf16));
      continue;
    }
    const bytes = Uint8Array.from({ length: rows * columns }, () => {
      const byte = Math.floor(random() * 256);
      return (byte & 0x7f) === 0x7f ? byte - 1 : byte;
    });
    const across = columns / 128;
    const scales = Float32Array.from({ length: Math.ceil(rows / 128) * across }, () => 1e-4 + 1e-3 * random());
    const values = Array.from(bytes, (byte, i) => {
      const row = Math.floor(i / columns);
      return floatOfByte(byte) * scales[Math.floor(row / 128) * across + Math.floor((i % columns) / 128)]!;
    });
    quantized[`${name}.weight`] = { dtype: 'F8_E4M3', shape, bytes };
    quantized[`${name}.weight_scale_inv`] = {
      dtype: 'F32',
      shape: [Math.ceil(rows / 128), across],
      bytes: bytesOf(scales),
    };
    plain[`${name}.weight`] = f32(shape, values);
  }
  const quantization = { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [128, 128] };
  return { config: LLAMA_CONFIG, quantization: { quantization_config: quantization }, quantized, plain };
};

const GPT_OSS_CONFIG = {
  architectures: ['GptOssForCausalLM'],
  model_type: 'gpt_oss',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 40,
  max_position_embeddings: 1024,
  rope_theta: 150_000,
  rms_norm_eps: 1e-5,
  sliding_window: 4,
  layer_types: ['sliding_attention', 'full_attention'],
  num_local_experts: 4,
  num_experts_per_tok: 2,
  tie_word_embeddings: false,
  hidden_act: 'silu',
  rope_scaling: {
    rope_type: 'yarn',
    factor: 32,
    beta_fast: 32,
    beta_slow: 1,
    original_max_position_embeddings: 32,
    truncate: false,
  },
};

/** Values of the four-bit floats, from their bits. */
const floatOfNibble = (bits: number): number => {
  const exponent = (bits >> 1) & 3;
  const magnitude = exponent === 0 ? (bits & 1) / 2 : (1 + (bits & 1) / 2) * 2 ** (exponent - 1);
  return bits & 8 ? -magnitude : magnitude;
};

/** gpt-oss with its experts' weights in MXFP4, gate and up rows alternating. */
export const gptOssModel = (): PublishedModel => {
  const random = seededRandom(20);
  const numbers = (length: number, scale: number) => Array.from({ length }, () => scale * (random() - 0.5));
  const shared: Record<string, Stored> = {};
  const add = (name: string, shape: readonly number[], scale = 0.3): void => {
    shared[name] = f32(shape, numbers(size(shape), scale));
  };
  const quantized: Record<string, Stored> = {};
  const plain: Record<string, Stored> = {};
  add('model.embed_tokens.weight', [40, 64], 2);
  add('lm_head.weight', [40, 64]);
  add('model.norm.weight', [64], 4);
  for (const layer of [0, 1]) {
    const prefix = `model.layers.${layer}`;
    add(`${prefix}.input_layernorm.weight`, [64], 4);
    add(`${prefix}.post_attention_layernorm.weight`, [64], 4);
    for (const [part, rows, columns] of [
      ['q', 64, 64],
      ['k', 32, 64],
      ['v', 32, 64],
      ['o', 64, 64],
    ] as const) {
      add(`${prefix}.self_attn.${part}_proj.weight`, [rows, columns]);
      add(`${prefix}.self_attn.${part}_proj.bias`, [rows]);
    }
    add(`${prefix}.self_attn.sinks`, [4], 2);
    add(`${prefix}.mlp.router.weight`, [4, 64], 2);
    add(`${prefix}.mlp.router.bias`, [4]);
    const experts = `${prefix}.mlp.experts`;
    for (const [name, rows, columns] of [
      ['gate_up', 192, 64],
      ['down', 64, 96],
    ] as const) {
      const blocks = Uint8Array.from({ length: (4 * rows * columns) / 2 }, () => Math.floor(random() * 256));
      const scales = Uint8Array.from({ length: (4 * rows * columns) / 32 }, () => 121 + Math.floor(random() * 4));
      const values = Array.from({ length: 4 * rows * columns }, (_, i) => {
        const nibble = (blocks[i >> 1]! >> (4 * (i % 2))) & 15;
        return floatOfNibble(nibble) * 2 ** (scales[Math.floor(i / 32)]! - 127);
      });
      const bias = numbers(4 * rows, 0.3);
      quantized[`${experts}.${name}_proj_blocks`] = { dtype: 'U8', shape: [4, rows, columns / 32, 16], bytes: blocks };
      quantized[`${experts}.${name}_proj_scales`] = { dtype: 'U8', shape: [4, rows, columns / 32], bytes: scales };
      quantized[`${experts}.${name}_proj_bias`] = f32([4, rows], bias);
      const parts = name === 'down' ? ['down'] : ['gate', 'up'];
      for (const [first, part] of parts.entries()) {
        const own = rows / parts.length;
        const ofPart = (width: number, all: readonly number[]) =>
          all.filter((_, i) => Math.floor(i / width) % parts.length === first);
        plain[`${experts}.${part}_proj.weight`] = f32([4, own, columns], ofPart(columns, values));
        plain[`${experts}.${part}_proj.bias`] = f32([4, own], ofPart(1, bias));
      }
    }
  }
  return {
    config: GPT_OSS_CONFIG,
    quantization: { quantization_config: { quant_method: 'mxfp4' } },
    quantized: { ...shared, ...quantized },
    plain: { ...shared, ...plain },
  };
};

/** A tiny dense model in F32 of any family without post norms; `changes` go over a Llama's configuration. */
export const randomModel = (changes: Readonly<Record<string, unknown>>) => {
  const config: Record<string, unknown> & typeof TINY = { ...TINY, ...changes };
  const random = seededRandom(40);
  const tensors: Record<string, Stored> = {};
  const add = (name: string, shape: readonly number[], scale: number, shift = 0): void => {
    tensors[name] = f32(
      shape,
      Array.from({ length: size(shape) }, () => shift + scale * (random() - 0.5)),
    );
  };
  const { hidden_size: hidden, intermediate_size: wide, head_dim: headDim } = config;
  const [queries, keys] = [config.num_attention_heads * headDim, config.num_key_value_heads * headDim];
  const isFused = config.model_type === 'phi3';
  add('model.embed_tokens.weight', [config.vocab_size, hidden], 2);
  add('model.norm.weight', [hidden], 0.5, 1);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    add(`${prefix}.input_layernorm.weight`, [hidden], 0.5, 1);
    add(`${prefix}.post_attention_layernorm.weight`, [hidden], 0.5, 1);
    if (isFused) {
      add(`${prefix}.self_attn.qkv_proj.weight`, [queries + 2 * keys, hidden], 0.8);
      add(`${prefix}.mlp.gate_up_proj.weight`, [2 * wide, hidden], 0.8);
    } else {
      for (const [part, rows] of [
        ['q', queries],
        ['k', keys],
        ['v', keys],
      ] as const) {
        add(`${prefix}.self_attn.${part}_proj.weight`, [rows, hidden], 0.8);
        if (config.model_type === 'qwen2') add(`${prefix}.self_attn.${part}_proj.bias`, [rows], 0.8);
      }
      add(`${prefix}.mlp.gate_proj.weight`, [wide, hidden], 0.8);
      add(`${prefix}.mlp.up_proj.weight`, [wide, hidden], 0.8);
    }
    add(`${prefix}.self_attn.o_proj.weight`, [hidden, queries], 0.8);
    add(`${prefix}.mlp.down_proj.weight`, [hidden, wide], 0.8);
  }
  return { config, tensors };
};

const TINY = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 40,
  max_position_embeddings: 64,
  rope_theta: 100,
  tie_word_embeddings: true,
};
