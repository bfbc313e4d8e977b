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
import { blockLengthOf, bytesOf, RandomBlocks, typeIdOf, WEIGHT_TYPES, type WeightType } from './random-blocks.ts';
import { type ModelShape, SHAPES, type ShapeName } from './random-shapes.ts';

interface TensorPlan {
  readonly name: string;
  /** Fastest dimension first, as GGUF lists them. */
  readonly dims: readonly number[];
  readonly type: WeightType;
  /** Largest magnitude of the uniform weights; 0: all ones. */
  readonly size: number;
  /** Given values in place of random ones. */
  readonly values?: readonly number[];
  /** Norms, which lie around 1. */
  readonly isNorm?: boolean;
}

/** The type of each matrix, as mixed quantizations have it. */
export type TypeOfTensor = (name: string) => WeightType;

const ALIGNMENT = 32;
const NUM_BYTE_TOKENS = 256;
const FIRST_PIECE = 3 + NUM_BYTE_TOKENS;
/** Elements drawn and written at a time; whole blocks of any type. */
const DRAWN_WEIGHTS = 32 * 1024 * 1024;

const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

const numWeights = ({ dims }: TensorPlan): number => dims.reduce((product, dim) => product * dim, 1);

const byteLength = (plan: TensorPlan): number => bytesOf(plan.type, numWeights(plan));

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

const metadata = (name: string, shape: ModelShape, type: string): [key: string, value: Value][] => {
  const { tokens, types, scores } = syntheticVocabulary(shape.vocabularySize);
  const { architecture = 'llama', experts } = shape;
  const key = (part: string) => `${architecture}.${part}`;
  const headDim = headDimOf(shape);
  return [
    ['general.architecture', { string: architecture }],
    ['general.name', { string: `random ${name} ${type}` }],
    ['general.quantization_version', { u32: 2 }],
    [key('vocab_size'), { u32: shape.vocabularySize }],
    [key('context_length'), { u32: shape.contextLength }],
    [key('embedding_length'), { u32: shape.dim }],
    [key('block_count'), { u32: shape.numLayers }],
    [key('feed_forward_length'), { u32: shape.ffnDim }],
    [key('attention.head_count'), { u32: shape.numHeads }],
    [key('attention.head_count_kv'), { u32: shape.numKvHeads }],
    [key('attention.key_length'), { u32: headDim }],
    [key('attention.value_length'), { u32: headDim }],
    [key('attention.layer_norm_rms_epsilon'), { f32: 1e-5 }],
    [key('rope.dimension_count'), { u32: headDim }],
    [key('rope.freq_base'), { f32: shape.ropeBase }],
    ...(experts
      ? ([
          [key('expert_count'), { u32: experts.count }],
          [key('expert_used_count'), { u32: experts.used }],
          [key('expert_feed_forward_length'), { u32: shape.ffnDim }],
        ] satisfies [string, Value][])
      : []),
    ...Object.entries(shape.metadata ?? {}).map(([part, value]): [string, Value] => [key(part), value]),
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

const headDimOf = ({ headDim, dim, numHeads }: ModelShape): number => headDim ?? dim / numHeads;

const tensorPlans = (shape: ModelShape, type: TypeOfTensor): TensorPlan[] => {
  const { dim, vocabularySize, hasRandomNorms = false } = shape;
  const plans: TensorPlan[] = [{ ...matrix('token_embd', type, dim, vocabularySize), size: 1 }];
  for (let layer = 0; layer < shape.numLayers; layer++) {
    plans.push(...attentionPlans(`blk.${layer}`, shape, type), ...feedForwardPlans(`blk.${layer}`, shape, type));
  }
  plans.push(norm('output_norm', dim));
  if (!shape.isTied) plans.push(matrix('output', type, dim, vocabularySize));
  for (const [name, values] of Object.entries(shape.vectors ?? {})) {
    plans.push({ ...vector(name, values.length), values });
  }
  return plans.map((plan) => (plan.isNorm && hasRandomNorms ? { ...plan, size: 0.5 } : plan));
};

/** One type for all matrices; of gpt-oss, only the experts are published in four bits. */
const uniformType = ({ hasSinksAndBiases = false }: ModelShape, type: WeightType): TypeOfTensor => {
  const denseType = hasSinksAndBiases && type === 'mxfp4' ? 'q8_0' : type;
  return (name) => (name.includes('_exps') ? type : denseType);
};

/** What llama.cpp's quantizer takes for rows that are no whole number of a type's blocks. */
const LARGER_TYPE: Readonly<Record<string, WeightType>> = {
  q2_k: 'iq4_nl',
  q3_k: 'iq4_nl',
  iq4_xs: 'iq4_nl',
  q4_k: 'q5_0',
  q5_k: 'q5_1',
  q6_k: 'q8_0',
};

const typeFor = (type: WeightType, columns: number): WeightType => {
  if (columns % blockLengthOf(type) === 0) return type;
  const larger = LARGER_TYPE[type] ?? 'f16';
  return columns % blockLengthOf(larger) === 0 ? larger : 'f16';
};

const matrix = (name: string, type: TypeOfTensor, columns: number, ...rest: readonly number[]): TensorPlan => ({
  name: `${name}.weight`,
  dims: [columns, ...rest],
  type: typeFor(type(name), columns),
  // Uniform in ±√(3 / columns) keeps a product's variance equal to its input's.
  size: Math.sqrt(3 / columns),
});

const vector = (name: string, ...dims: readonly number[]): TensorPlan => ({ name, dims, type: 'f32', size: 0 });

const norm = (name: string, length: number): TensorPlan => ({ ...vector(`${name}.weight`, length), isNorm: true });

/** Small numbers around zero. */
const bias = (name: string, ...dims: readonly number[]): TensorPlan => ({ ...vector(name, ...dims), size: 0.1 });

const attentionPlans = (block: string, shape: ModelShape, type: TypeOfTensor): TensorPlan[] => {
  const { dim, numHeads, numKvHeads } = shape;
  const headDim = headDimOf(shape);
  const [queries, keys] = [numHeads * headDim, numKvHeads * headDim];
  const parts = shape.isFused
    ? ([['attn_qkv', queries + 2 * keys]] as const)
    : ([
        ['attn_q', queries],
        ['attn_k', keys],
        ['attn_v', keys],
      ] as const);
  return [
    norm(`${block}.attn_norm`, dim),
    ...parts.map(([part, rows]) => matrix(`${block}.${part}`, type, dim, rows)),
    ...(shape.hasQkvBias ? parts.map(([part, rows]) => bias(`${block}.${part}.bias`, rows)) : []),
    ...(shape.hasHeadNorms ? [norm(`${block}.attn_q_norm`, headDim), norm(`${block}.attn_k_norm`, headDim)] : []),
    matrix(`${block}.attn_output`, type, queries, dim),
    ...(shape.hasSinksAndBiases || shape.hasOutputBiases ? [bias(`${block}.attn_output.bias`, dim)] : []),
    ...(shape.hasSinksAndBiases ? [bias(`${block}.attn_sinks.weight`, numHeads)] : []),
    ...(shape.hasPostNorms || shape.hasSinksAndBiases ? [norm(`${block}.post_attention_norm`, dim)] : []),
  ];
};

const feedForwardPlans = (block: string, shape: ModelShape, type: TypeOfTensor): TensorPlan[] => {
  const { dim, ffnDim, experts, hasSinksAndBiases } = shape;
  const norms = [
    ...(hasSinksAndBiases ? [] : [norm(`${block}.ffn_norm`, dim)]),
    ...(shape.hasPostNorms ? [norm(`${block}.post_ffw_norm`, dim)] : []),
  ];
  const sizes = [
    ['gate', dim, ffnDim],
    ['up', dim, ffnDim],
    ['down', ffnDim, dim],
  ] as const;
  if (experts) {
    return [
      ...norms,
      matrix(`${block}.ffn_gate_inp`, () => 'f32', dim, experts.count),
      ...sizes.map(([part, columns, rows]) => matrix(`${block}.ffn_${part}_exps`, type, columns, rows, experts.count)),
      ...(hasSinksAndBiases
        ? [
            bias(`${block}.ffn_gate_inp.bias`, experts.count),
            ...sizes.map(([part, , rows]) => bias(`${block}.ffn_${part}_exps.bias`, rows, experts.count)),
          ]
        : []),
    ];
  }
  if (shape.isFused) {
    return [...norms, matrix(`${block}.ffn_up`, type, dim, 2 * ffnDim), matrix(`${block}.ffn_down`, type, ffnDim, dim)];
  }
  return [
    ...norms,
    ...sizes.map(([part, columns, rows]) => matrix(`${block}.ffn_${part}`, type, columns, rows)),
    ...(shape.hasOutputBiases ? sizes.map(([part, , rows]) => bias(`${block}.ffn_${part}.bias`, rows)) : []),
  ];
};

/** Of a small vector, padded. */
const vectorBytes = (blocks: RandomBlocks, plan: TensorPlan): Buffer => {
  const { size, values } = plan;
  const bytes = Buffer.alloc(align(byteLength(plan)));
  if (values) Buffer.from(Float32Array.from(values).buffer).copy(bytes);
  else blocks.draw('f32', numWeights(plan), size).copy(bytes);
  if (plan.isNorm && size > 0) {
    for (let i = 0; i < numWeights(plan); i++) bytes.writeFloatLE(bytes.readFloatLE(4 * i) + 1, 4 * i);
  }
  return bytes;
};

/** Writes the file whole or not at all. Same shape, type and seed: the same bytes. */
export const writeRandomGguf = (
  path: string,
  wanted: ShapeName | ModelShape,
  type: WeightType | TypeOfTensor,
  seed = 1,
): void => {
  const shape = typeof wanted === 'string' ? SHAPES[wanted] : wanted;
  const plans = tensorPlans(shape, typeof type === 'string' ? uniformType(shape, type) : type);
  // A shape's own fields come last, and count.
  const fields = [
    ...new Map(
      metadata(typeof wanted === 'string' ? wanted : 'random', shape, typeof type === 'string' ? type : 'mixed'),
    ),
  ];
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
    header.u32(typeIdOf(plan.type));
    header.u64(offset);
    offset = align(offset + byteLength(plan));
  }
  header.bytes(Buffer.alloc(align(header.length) - header.length));

  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(`${path}.part`, 'w');
  try {
    writeSync(file, header.concat());
    const blocks = new RandomBlocks(seed);
    for (const plan of plans) {
      if (plan.isNorm || plan.values) {
        writeSync(file, vectorBytes(blocks, plan));
        continue;
      }
      for (let left = numWeights(plan); left > 0; left -= DRAWN_WEIGHTS) {
        writeSync(file, blocks.draw(plan.type, Math.min(left, DRAWN_WEIGHTS), plan.size));
      }
      writeSync(file, Buffer.alloc(align(byteLength(plan)) - byteLength(plan)));
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
  if (!(shape in SHAPES) || !WEIGHT_TYPES.includes(type) || out === undefined) {
    console.error(
      `usage: --shape ${Object.keys(SHAPES).join('|')} --type ${WEIGHT_TYPES.join('|')} --out FILE [--seed N]`,
    );
    process.exit(2);
  }
  writeRandomGguf(out, shape as ShapeName, type, Number(values.seed));
  console.log(out);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
