/** Translates what encoders on the Hugging Face hub have beside their weights: config.json, tensor names, pooling. */
import { join } from 'node:path';
import { EngineError } from '../errors.ts';
import { POOLING_TYPES } from '../models/pooling.ts';
import type { TranslatedConfig } from './hugging-face-config.ts';
import type { MetadataValue } from './model-file.ts';
import { isObject, readJsonList, readJsonObject } from './safetensors.ts';

type Config = Readonly<Record<string, unknown>>;

/** GGUF's name of the architecture by `model_type`. */
export const ENCODER_TYPES: Readonly<Record<string, string>> = { bert: 'bert', nomic_bert: 'nomic-bert' };

/** True for what GGUF calls an encoder's architecture. */
export const isEncoder = (architecture: string): boolean => Object.values(ENCODER_TYPES).includes(architecture);

/** A number of config.json, under the names it may have, the first of which counts; and the key it becomes. */
const COPIED: readonly (readonly [from: readonly string[], to: string])[] = [
  [['n_embd', 'hidden_size'], 'embedding_length'],
  [['n_layer', 'num_hidden_layers'], 'block_count'],
  [['n_inner', 'intermediate_size'], 'feed_forward_length'],
  [['n_head', 'num_attention_heads'], 'attention.head_count'],
  [['layer_norm_epsilon', 'layer_norm_eps'], 'attention.layer_norm_epsilon'],
];

/** Fields that would change what is computed, and the one value that they may have. */
const REQUIRED: Readonly<Record<string, readonly (readonly [name: string, value: unknown])[]>> = {
  bert: [
    ['hidden_act', 'gelu'],
    ['position_embedding_type', 'absolute'],
    ['is_decoder', false],
  ],
  'nomic-bert': [
    ['activation_function', 'swiglu'],
    ['causal', false],
    ['parallel_block', false],
    ['prenorm', false],
    ['rotary_emb_interleaved', false],
    ['rotary_emb_scale_base', null],
    ['use_rms_norm', false],
    ['num_experts', 0],
  ],
};

/** @throws EngineError model_unsupported or model_file_invalid, naming the file and the field */
export const translateEncoder = (path: string, architecture: string, config: Config): TranslatedConfig => {
  for (const [name, value] of REQUIRED[architecture]!) {
    const found = config[name] ?? value;
    if (found === value) continue;
    const problem = `${name} is ${JSON.stringify(found).slice(0, 80)}; supported: ${JSON.stringify(value)}`;
    throw new EngineError('model_unsupported', `${path}: ${problem}`);
  }
  const metadata = new Map<string, MetadataValue>([['general.architecture', architecture]]);
  const set = (key: string, value: number): void => void metadata.set(`${architecture}.${key}`, value);
  for (const [names, key] of COPIED) {
    const value = names.map((name) => config[name]).find((found) => typeof found === 'number');
    if (value !== undefined) set(key, value as number);
  }
  const trained = [config.max_trained_positions, config.max_position_embeddings, config.n_positions];
  // Beyond what Nomic's models were trained for, their angles would depend on the text's length.
  const contexts = trained.filter((length): length is number => typeof length === 'number');
  if (contexts.length > 0) set('context_length', Math.min(...contexts));
  if (architecture === 'nomic-bert') setRotation(config, set);
  return { architecture, metadata, vectors: new Map(), isTied: true };
};

const setRotation = (config: Config, set: (key: string, value: number) => void): void => {
  const { rotary_emb_base: own, rope_parameters: parameters } = config;
  const base = own ?? (isObject(parameters) ? parameters.rope_theta : undefined);
  if (typeof base === 'number') set('rope.freq_base', base);
  const share = config.rotary_emb_fraction ?? 1;
  const width = Number(config.n_embd ?? config.hidden_size) / Number(config.n_head ?? config.num_attention_heads);
  if (typeof share === 'number' && Number.isFinite(width)) set('rope.dimension_count', Math.floor(width * share));
};

/** Source: the modelling code of BERT and NomicBERT, and GGUF's `constants.py`. */
const NAMES: Readonly<Record<string, string>> = {
  'embeddings.word_embeddings': 'token_embd',
  'embeddings.position_embeddings': 'position_embd',
  'embeddings.token_type_embeddings': 'token_types',
  'embeddings.LayerNorm': 'token_embd_norm',
  emb_ln: 'token_embd_norm',
};

/** What follows `encoder.layer.N.` or `encoder.layers.N.`, without `.weight` or `.bias`. */
const LAYER_NAMES: Readonly<Record<string, string>> = {
  'attention.self.query': 'attn_q',
  'attention.self.key': 'attn_k',
  'attention.self.value': 'attn_v',
  'attention.output.dense': 'attn_output',
  'attention.output.LayerNorm': 'attn_output_norm',
  'intermediate.dense': 'ffn_up',
  'output.dense': 'ffn_down',
  'output.LayerNorm': 'layer_output_norm',
  'attn.Wqkv': 'attn_qkv',
  'attn.out_proj': 'attn_output',
  'mlp.fc11': 'ffn_up',
  'mlp.fc12': 'ffn_gate',
  'mlp.fc2': 'ffn_down',
  norm1: 'attn_output_norm',
  norm2: 'layer_output_norm',
};

/** Heads of training, and a table of the numbers from 0 on: nothing of them is in an embedding. */
const IGNORED = /^(pooler|cls)\.|^embeddings\.position_ids$/;

/** GGUF's name of an encoder's tensor; null: the tensor is of no use; undefined: there is no such name. */
export const encoderTensorName = (published: string): string | null | undefined => {
  const name = published.replace(/^(bert|model)\./, '');
  if (IGNORED.test(name)) return null;
  const [, stem = '', ending = ''] = /^(.+)\.(weight|bias|gamma|beta)$/.exec(name) ?? [];
  const kind = { gamma: 'weight', beta: 'bias' }[ending] ?? ending;
  const [, layer, part = ''] = /^encoder\.layers?\.(\d+)\.(.+)$/.exec(stem) ?? [];
  const own = layer === undefined ? NAMES[stem] : LAYER_NAMES[part] && `blk.${layer}.${LAYER_NAMES[part]}`;
  return own && `${own}.${kind}`;
};

/** Modules of sentence-transformers that are computed here; Normalize always is. */
const MODULES = /\.(Transformer|Pooling|Normalize)$/;

/**
 * ggml's number of the pooling that sentence-transformers' files ask for; undefined where there are none.
 * @throws EngineError model_unsupported for other modules and other kinds of pooling; model_file_invalid
 */
export const readPoolingModule = async (folder: string): Promise<number | undefined> => {
  const path = join(folder, '1_Pooling', 'config.json');
  const config = await readJsonObject(path);
  if (!config) return undefined;
  await refuseOtherModules(folder);
  const modes = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const named = typeof config.pooling_mode === 'string' ? [config.pooling_mode] : [];
  const [mode = '', ...others] = [...modes.map((key) => key.replace('pooling_mode_', '')), ...named];
  const pooling = ({ mean_tokens: 'mean', cls_token: 'cls', mean: 'mean', cls: 'cls', lasttoken: 'last' } as const)[
    mode
  ];
  if (pooling !== undefined && others.length === 0) return POOLING_TYPES[pooling];
  const problem = `pools by ${[mode, ...others].join(' and ') || 'nothing'}; supported: one of mean_tokens, cls_token, lasttoken`;
  throw new EngineError('model_unsupported', `${path}: ${problem}`);
};

const refuseOtherModules = async (folder: string): Promise<void> => {
  const path = join(folder, 'modules.json');
  const modules = await readJsonList(path);
  const types = modules?.map((module) => (isObject(module) ? String(module.type) : JSON.stringify(module))) ?? [];
  const other = types.find((type) => !MODULES.test(type));
  if (other === undefined) return;
  throw new EngineError('model_unsupported', `${path}: has ${other}; supported: Transformer, Pooling and Normalize`);
};
