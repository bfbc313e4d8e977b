/** Writes tiny BERT and NomicBERT models with seeded random weights, as GGUF files and as folders of the hub. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, type Value, writeValue } from '../../bench/gguf-writer.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { floatToHalf } from '../../src/kernels/quant/quant-format.ts';
import { writeModel } from './published-model.ts';
import { seededRandom } from './random-weights.ts';

export type EncoderName = 'bert' | 'nomic-bert';
export type EncoderWeights = 'F32' | 'F16' | 'Q8_0';

const WIDTH = 64;
const WIDE = 96;
const NUM_LAYERS = 2;
export const TINY_CONTEXT = 48;
/** As WordPiece files list them: a piece that goes on begins with ##. */
export const TINY_VOCABULARY: readonly string[] = [
  ...['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'],
  ...['the', 'quick', 'fox', 'jump', 'over', 'lazy', 'dog', 'un', '##es', '##ed', '##ly', '!', ',', '.', '?'],
  ...[...'abcdefghijklmnopqrstuvwxyz0123456789'].flatMap((letter) => [letter, `##${letter}`]),
];
export const CLS = 2;
export const SEP = 3;
const SPECIALS = 5;

interface Tensor {
  /** GGUF's name, and the hub's. */
  readonly name: string;
  readonly published: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** GGUF's name and the hub's, in the form of its modelling code. */
const LAYERS: Readonly<Record<EncoderName, readonly (readonly [string, string, ...number[]])[]>> = {
  bert: [
    ['attn_q', 'attention.self.query', WIDTH, WIDTH],
    ['attn_k', 'attention.self.key', WIDTH, WIDTH],
    ['attn_v', 'attention.self.value', WIDTH, WIDTH],
    ['attn_output', 'attention.output.dense', WIDTH, WIDTH],
    ['attn_output_norm', 'attention.output.LayerNorm', WIDTH],
    ['ffn_up', 'intermediate.dense', WIDE, WIDTH],
    ['ffn_down', 'output.dense', WIDTH, WIDE],
    ['layer_output_norm', 'output.LayerNorm', WIDTH],
  ],
  'nomic-bert': [
    ['attn_qkv', 'attn.Wqkv', 3 * WIDTH, WIDTH],
    ['attn_output', 'attn.out_proj', WIDTH, WIDTH],
    ['attn_output_norm', 'norm1', WIDTH],
    ['ffn_up', 'mlp.fc11', WIDE, WIDTH],
    ['ffn_gate', 'mlp.fc12', WIDE, WIDTH],
    ['ffn_down', 'mlp.fc2', WIDTH, WIDE],
    ['layer_output_norm', 'norm2', WIDTH],
  ],
};

const EMBEDDINGS: Readonly<Record<EncoderName, readonly (readonly [string, string, ...number[]])[]>> = {
  bert: [
    ['token_embd', 'embeddings.word_embeddings', TINY_VOCABULARY.length, WIDTH],
    ['position_embd', 'embeddings.position_embeddings', TINY_CONTEXT, WIDTH],
    ['token_types', 'embeddings.token_type_embeddings', 2, WIDTH],
    ['token_embd_norm', 'embeddings.LayerNorm', WIDTH],
  ],
  'nomic-bert': [
    ['token_embd', 'embeddings.word_embeddings', TINY_VOCABULARY.length, WIDTH],
    ['token_types', 'embeddings.token_type_embeddings', 2, WIDTH],
    ['token_embd_norm', 'emb_ln', WIDTH],
  ],
};

const tensorsOf = (architecture: EncoderName): Tensor[] => {
  const random = seededRandom(architecture.length);
  const tensors: Tensor[] = [];
  const add = (name: string, published: string, shape: readonly number[]): void => {
    const isNorm = name.endsWith('_norm');
    const hasBias = isNorm || (architecture === 'bert' && /attn|ffn/.test(name));
    const size = shape.reduce((product, length) => product * length, 1);
    const spread = name.startsWith('to') || name.startsWith('pos') ? 1 : Math.sqrt(3 / shape.at(-1)!);
    const numbers = (length: number, width: number, centre = 0) =>
      Float32Array.from({ length }, () => centre + width * (2 * random() - 1));
    const weight = isNorm ? numbers(size, 0.5, 1) : numbers(size, spread);
    tensors.push({ name: `${name}.weight`, published: `${published}.weight`, shape, values: weight });
    if (!hasBias) return;
    const bias = { name: `${name}.bias`, published: `${published}.bias`, shape: [shape[0]!] };
    tensors.push({ ...bias, values: numbers(shape[0]!, 0.3) });
  };
  for (const [name, published, ...shape] of EMBEDDINGS[architecture]) add(name, published, shape);
  const layers = architecture === 'bert' ? 'encoder.layer' : 'encoder.layers';
  for (let layer = 0; layer < NUM_LAYERS; layer++) {
    for (const [name, published, ...shape] of LAYERS[architecture]) {
      add(`blk.${layer}.${name}`, `${layers}.${layer}.${published}`, shape);
    }
  }
  return tensors;
};

const halves = (values: Float32Array): Uint8Array => new Uint8Array(Uint16Array.from(values, floatToHalf).buffer);

const bytesAs = (type: EncoderWeights, values: Float32Array): Uint8Array => {
  if (type === 'F32') return new Uint8Array(values.buffer);
  if (type === 'F16') return halves(values);
  const bytes = new Uint8Array((values.length / 32) * 34);
  q8_0.quantize!(values, bytes);
  return bytes;
};

const TYPE_IDS: Readonly<Record<EncoderWeights, number>> = { F32: 0, F16: 1, Q8_0: 8 };
const ALIGNMENT = 32;

/** As llama.cpp's converter writes them: the pieces that begin a word are marked, in place of those that go on. */
export const phantomVocabulary = (tokens: readonly string[], numSpecials = SPECIALS): string[] =>
  tokens.map((token, id) => {
    if (id < numSpecials) return token;
    return token.startsWith('##') ? token.slice(2) : `\u2581${token}`;
  });

export interface TinyEncoderOptions {
  readonly weights?: EncoderWeights;
  /** ggml's number; absent: mean. */
  readonly poolingType?: number;
}

/** Matrices have the wanted type, vectors are F32. */
export const writeTinyEncoder = (
  path: string,
  architecture: EncoderName,
  { weights = 'F32', poolingType = 1 }: TinyEncoderOptions = {},
): void => {
  const key = (name: string) => `${architecture}.${name}`;
  const fields: readonly (readonly [string, Value])[] = [
    ['general.architecture', { string: architecture }],
    [key('context_length'), { u32: TINY_CONTEXT }],
    [key('embedding_length'), { u32: WIDTH }],
    [key('feed_forward_length'), { u32: WIDE }],
    [key('block_count'), { u32: NUM_LAYERS }],
    [key('attention.head_count'), { u32: 4 }],
    [key('attention.layer_norm_epsilon'), { f32: 1e-12 }],
    [key('attention.causal'), { bool: false }],
    [key('pooling_type'), { u32: poolingType }],
    ...(architecture === 'nomic-bert' ? [[key('rope.freq_base'), { f32: 1000 }] as const] : []),
    ['tokenizer.ggml.model', { string: 'bert' }],
    ['tokenizer.ggml.token_type_count', { u32: 2 }],
    ['tokenizer.ggml.tokens', { strings: phantomVocabulary(TINY_VOCABULARY) }],
    ['tokenizer.ggml.token_type', { i32s: TINY_VOCABULARY.map((_, id) => (id < SPECIALS ? 3 : 1)) }],
    ['tokenizer.ggml.unknown_token_id', { u32: 1 }],
    ['tokenizer.ggml.cls_token_id', { u32: CLS }],
    ['tokenizer.ggml.seperator_token_id', { u32: SEP }],
    ['tokenizer.ggml.padding_token_id', { u32: 0 }],
  ];
  const header = new ByteWriter();
  header.bytes(Buffer.from('GGUF'));
  header.u32(3);
  const bodies = tensorsOf(architecture).map(({ name, shape, values }) => {
    const type: EncoderWeights = shape.length === 2 ? weights : 'F32';
    return { name, shape, type, bytes: bytesAs(type, values) };
  });
  header.u64(bodies.length);
  header.u64(fields.length);
  for (const [name, value] of fields) {
    header.string(name);
    writeValue(header, value);
  }
  let offset = 0;
  const padded = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  for (const { name, shape, type, bytes } of bodies) {
    header.string(name);
    header.u32(shape.length);
    for (const size of shape.toReversed()) header.u64(size);
    header.u32(TYPE_IDS[type]);
    header.u64(offset);
    offset += padded(bytes.length);
  }
  header.bytes(Buffer.alloc(padded(header.length) - header.length));
  for (const { bytes } of bodies) {
    header.bytes(Buffer.from(bytes));
    header.bytes(Buffer.alloc(padded(bytes.length) - bytes.length));
  }
  writeFileSync(path, header.concat());
};

const CONFIGS: Readonly<Record<EncoderName, Readonly<Record<string, unknown>>>> = {
  bert: {
    architectures: ['BertModel'],
    model_type: 'bert',
    hidden_act: 'gelu',
    hidden_size: WIDTH,
    intermediate_size: WIDE,
    layer_norm_eps: 1e-12,
    max_position_embeddings: TINY_CONTEXT,
    num_attention_heads: 4,
    num_hidden_layers: NUM_LAYERS,
    position_embedding_type: 'absolute',
    type_vocab_size: 2,
    vocab_size: TINY_VOCABULARY.length,
  },
  'nomic-bert': {
    architectures: ['NomicBertModel'],
    model_type: 'nomic_bert',
    activation_function: 'swiglu',
    causal: false,
    layer_norm_epsilon: 1e-12,
    max_trained_positions: TINY_CONTEXT,
    n_embd: WIDTH,
    n_head: 4,
    n_inner: WIDE,
    n_layer: NUM_LAYERS,
    n_positions: 4 * TINY_CONTEXT,
    parallel_block: false,
    prenorm: false,
    rotary_emb_base: 1000,
    rotary_emb_fraction: 1,
    rotary_emb_interleaved: false,
    rotary_emb_scale_base: null,
    type_vocab_size: 2,
    use_rms_norm: false,
    vocab_size: TINY_VOCABULARY.length,
  },
};

/** tokenizer.json of the tiny models. */
export const tinyWordPiece = (): Readonly<Record<string, unknown>> => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: TINY_VOCABULARY.slice(0, SPECIALS).map((content, id) => ({
    id,
    content,
    special: true,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [CLS], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [SEP], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(TINY_VOCABULARY.map((token, id) => [token, id])),
  },
});

/** The folder of the same model: config.json, safetensors, tokenizer.json and what sentence-transformers adds. */
export const writeTinyEncoderFolder = (
  folder: string,
  architecture: EncoderName,
  {
    poolingMode = 'mean_tokens',
    prefix = '',
    changes = {},
  }: { poolingMode?: string; prefix?: string; changes?: Readonly<Record<string, unknown>> } = {},
): void => {
  const stored = tensorsOf(architecture).map(({ published, shape, values }) => [
    `${prefix}${published}`,
    { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer) },
  ]);
  // A head of training, which no embedding needs.
  stored.push([`${prefix}pooler.dense.bias`, { dtype: 'F32', shape: [2], bytes: new Uint8Array(8) }]);
  writeModel(folder, { ...CONFIGS[architecture], ...changes }, Object.fromEntries(stored));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tinyWordPiece()));
  const modules = ['Transformer', 'Pooling', 'Normalize'].map((name, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? '' : `${idx}_${name}`,
    type: `sentence_transformers.models.${name}`,
  }));
  writeFileSync(join(folder, 'modules.json'), JSON.stringify(modules));
  mkdirSync(join(folder, '1_Pooling'), { recursive: true });
  const modes = {
    word_embedding_dimension: WIDTH,
    [`pooling_mode_${poolingMode}`]: true,
    pooling_mode_max_tokens: false,
  };
  writeFileSync(join(folder, '1_Pooling', 'config.json'), JSON.stringify(modes));
};
