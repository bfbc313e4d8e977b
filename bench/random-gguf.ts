/**
 * Writes GGUF files of real shapes with seeded random weights, for benches and loaders: they answer nonsense at a
 * real model's speed. llama.cpp accepts them too.
 *
 *     npx tsx bench/random-gguf.ts --shape llama-15m --type q8_0 --out FILE [--seed 1]
 */
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ByteWriter, type Value, writeValue } from './gguf-writer.ts';

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
}

/** Shapes of published models, by parameter count. */
export const SHAPES = {
  'llama-15m': {
    dim: 288,
    numLayers: 6,
    numHeads: 6,
    numKvHeads: 6,
    ffnDim: 768,
    vocabularySize: 32_000,
    contextLength: 2048,
    ropeBase: 10_000,
    isTied: true,
  },
  'llama-110m': {
    dim: 768,
    numLayers: 12,
    numHeads: 12,
    numKvHeads: 12,
    ffnDim: 2048,
    vocabularySize: 32_000,
    contextLength: 2048,
    ropeBase: 10_000,
    isTied: true,
  },
  'llama-1b': {
    dim: 2048,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    ffnDim: 8192,
    vocabularySize: 32_000,
    contextLength: 4096,
    ropeBase: 500_000,
    isTied: true,
  },
} as const satisfies Record<string, ModelShape>;

export type ShapeName = keyof typeof SHAPES;

/** Elements and bytes a block, the id of the tensor type, and `general.file_type`. Source: ggml's GGUF specification. */
const WEIGHT_TYPES = {
  f32: { blockLength: 1, blockBytes: 4, tensorType: 0, fileType: 0 },
  f16: { blockLength: 1, blockBytes: 2, tensorType: 1, fileType: 1 },
  q4_0: { blockLength: 32, blockBytes: 18, tensorType: 2, fileType: 2 },
  q8_0: { blockLength: 32, blockBytes: 34, tensorType: 8, fileType: 7 },
} as const;

export type WeightType = keyof typeof WEIGHT_TYPES;

interface TensorPlan {
  readonly name: string;
  /** Fastest dimension first, as GGUF lists them. */
  readonly dims: readonly number[];
  readonly type: WeightType;
  /** Largest magnitude of the uniform weights; 0: all ones (norms). */
  readonly scale: number;
}

const ALIGNMENT = 32;
const NUM_BYTE_TOKENS = 256;
const FIRST_PIECE = 3 + NUM_BYTE_TOKENS;

const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

const byteLength = ({ dims, type }: TensorPlan): number => {
  const { blockLength, blockBytes } = WEIGHT_TYPES[type];
  return (dims.reduce((product, dim) => product * dim, 1) / blockLength) * blockBytes;
};

/** Uniform numbers in [0, 1). Source: Tommy Ettinger's mulberry32, public domain. */
const mulberry32 = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

const floatBits = new Float32Array(1);
const floatWord = new Uint32Array(floatBits.buffer);

/** Rounds a number of magnitude 2^-14 … 65504, or 0, to binary16; ties away from zero, which random weights allow. */
const toHalf = (value: number): number => {
  floatBits[0] = value;
  const word = floatWord[0]!;
  const magnitude = word & 0x7fff_ffff;
  if (magnitude < 0x3880_0000) return (word >>> 16) & 0x8000;
  return ((word >>> 16) & 0x8000) | ((magnitude - 0x3800_0000 + 0x1000) >>> 13);
};

/** A SentencePiece vocabulary: unknown, BOS, EOS, the 256 bytes, then pronounceable pieces, the best score first. */
const syntheticVocabulary = (size: number) => {
  const tokens = ['<unk>', '<s>', '</s>'];
  const types = [2, 3, 3];
  for (let byte = 0; byte < NUM_BYTE_TOKENS; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    types.push(6);
  }
  const alphabet = [...'▁etaoinshrdlcumwfgypbvkjxqzETAOINSHRDLCUMWFGYPBVKJXQZ0123456789.,!?'];
  for (let index = 0; tokens.length < size; index++) {
    // Counting in base |alphabet| without a zero digit names every string once, short ones first.
    let piece = '';
    for (let rest = index; rest >= 0; rest = Math.floor(rest / alphabet.length) - 1) {
      piece = alphabet[rest % alphabet.length]! + piece;
    }
    tokens.push(piece);
    types.push(1);
  }
  const scores = tokens.map((_, id) => (id < FIRST_PIECE ? 0 : FIRST_PIECE - id));
  return { tokens, types, scores };
};

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

const metadata = (name: string, shape: ModelShape, type: WeightType): [key: string, value: Value][] => {
  const { tokens, types, scores } = syntheticVocabulary(shape.vocabularySize);
  return [
    ['general.architecture', { string: 'llama' }],
    ['general.name', { string: `random ${name} ${type}` }],
    ['general.file_type', { u32: WEIGHT_TYPES[type].fileType }],
    ['general.quantization_version', { u32: 2 }],
    ['llama.vocab_size', { u32: shape.vocabularySize }],
    ['llama.context_length', { u32: shape.contextLength }],
    ['llama.embedding_length', { u32: shape.dim }],
    ['llama.block_count', { u32: shape.numLayers }],
    ['llama.feed_forward_length', { u32: shape.ffnDim }],
    ['llama.attention.head_count', { u32: shape.numHeads }],
    ['llama.attention.head_count_kv', { u32: shape.numKvHeads }],
    ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
    ['llama.rope.dimension_count', { u32: shape.dim / shape.numHeads }],
    ['llama.rope.freq_base', { f32: shape.ropeBase }],
    ['tokenizer.ggml.model', { string: 'llama' }],
    ['tokenizer.ggml.tokens', { strings: tokens }],
    ['tokenizer.ggml.scores', { f32s: scores }],
    ['tokenizer.ggml.token_type', { i32s: types }],
    ['tokenizer.ggml.unknown_token_id', { u32: 0 }],
    ['tokenizer.ggml.bos_token_id', { u32: 1 }],
    ['tokenizer.ggml.eos_token_id', { u32: 2 }],
    ['tokenizer.ggml.add_bos_token', { bool: true }],
    ['tokenizer.chat_template', { string: CHAT_TEMPLATE }],
  ];
};

const tensorPlans = (shape: ModelShape, type: WeightType): TensorPlan[] => {
  const { dim, ffnDim, numHeads, numKvHeads, vocabularySize } = shape;
  const kvDim = (dim / numHeads) * numKvHeads;
  const matrix = (name: string, columns: number, rows: number): TensorPlan => ({
    name,
    dims: [columns, rows],
    type,
    // Uniform in ±√(3 / columns) keeps a product's variance equal to its input's.
    scale: Math.sqrt(3 / columns),
  });
  const norm = (name: string): TensorPlan => ({ name, dims: [dim], type: 'f32', scale: 0 });
  const plans = [{ ...matrix('token_embd.weight', dim, vocabularySize), scale: 1 }];
  for (let layer = 0; layer < shape.numLayers; layer++) {
    const block = `blk.${layer}`;
    plans.push(
      norm(`${block}.attn_norm.weight`),
      matrix(`${block}.attn_q.weight`, dim, dim),
      matrix(`${block}.attn_k.weight`, dim, kvDim),
      matrix(`${block}.attn_v.weight`, dim, kvDim),
      matrix(`${block}.attn_output.weight`, dim, dim),
      norm(`${block}.ffn_norm.weight`),
      matrix(`${block}.ffn_gate.weight`, dim, ffnDim),
      matrix(`${block}.ffn_up.weight`, dim, ffnDim),
      matrix(`${block}.ffn_down.weight`, ffnDim, dim),
    );
  }
  plans.push(norm('output_norm.weight'));
  if (!shape.isTied) plans.push(matrix('output.weight', dim, vocabularySize));
  return plans;
};

/** Draws the tensor's weights already in its format: for a quantised one, random quants under one fitting scale. */
const tensorBytes = (plan: TensorPlan, random: () => number): Buffer => {
  const bytes = Buffer.alloc(byteLength(plan));
  const { blockBytes } = WEIGHT_TYPES[plan.type];
  const weight = (): number => (plan.scale === 0 ? 1 : (random() * 2 - 1) * plan.scale);
  if (plan.type === 'f32') for (let at = 0; at < bytes.length; at += 4) bytes.writeFloatLE(weight(), at);
  else if (plan.type === 'f16') for (let at = 0; at < bytes.length; at += 2) bytes.writeUInt16LE(toHalf(weight()), at);
  else {
    const quantScale = toHalf(plan.scale / (plan.type === 'q8_0' ? 127 : 8));
    for (let block = 0; block < bytes.length; block += blockBytes) {
      bytes.writeUInt16LE(quantScale, block);
      for (let at = block + 2; at < block + blockBytes; at++) bytes[at] = random() * 256;
    }
  }
  return bytes;
};

/** Writes the file whole or not at all. Same shape, type and seed: the same bytes. */
export const writeRandomGguf = (path: string, wanted: ShapeName | ModelShape, type: WeightType, seed = 1): void => {
  const shape = typeof wanted === 'string' ? SHAPES[wanted] : wanted;
  const plans = tensorPlans(shape, type);
  const fields = metadata(typeof wanted === 'string' ? wanted : 'random', shape, type);
  const header = new ByteWriter();
  header.bytes(Buffer.from('GGUF'));
  header.u32(3);
  header.u64(plans.length);
  header.u64(fields.length);
  for (const [key, value] of fields) {
    header.string(key);
    writeValue(header, value);
  }
  let offset = 0;
  for (const plan of plans) {
    header.string(plan.name);
    header.u32(plan.dims.length);
    for (const dim of plan.dims) header.u64(dim);
    header.u32(WEIGHT_TYPES[plan.type].tensorType);
    header.u64(offset);
    offset = align(offset + byteLength(plan));
  }
  header.bytes(Buffer.alloc(align(header.length) - header.length));

  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(`${path}.part`, 'w');
  try {
    writeSync(file, header.concat());
    const random = mulberry32(seed);
    for (const plan of plans) {
      const bytes = tensorBytes(plan, random);
      writeSync(file, Buffer.concat([bytes, Buffer.alloc(align(bytes.length) - bytes.length)]));
    }
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.part`, path);
};

const main = (): void => {
  const { values } = parseArgs({
    options: {
      shape: { type: 'string', default: 'llama-15m' },
      type: { type: 'string', default: 'q8_0' },
      out: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  });
  const { shape, type, out } = values;
  if (!(shape in SHAPES) || !(type in WEIGHT_TYPES) || out === undefined) {
    console.error(
      `usage: --shape ${Object.keys(SHAPES).join('|')} --type ${Object.keys(WEIGHT_TYPES).join('|')} --out FILE [--seed N]`,
    );
    process.exit(2);
  }
  writeRandomGguf(out, shape as ShapeName, type as WeightType, Number(values.seed));
  console.log(out);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
