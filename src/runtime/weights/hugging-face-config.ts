/** Translates a Hugging Face config.json into the keys that GGUF files use, which architectures read. */
import { EngineError } from '../errors.ts';
import { CONFIG_DEFAULTS } from './hugging-face-defaults.ts';
import { ENCODER_TYPES, translateEncoder } from './hugging-face-encoders.ts';
import type { MetadataValue } from './model-file.ts';
import { isObject } from './safetensors.ts';

/** Vectors that GGUF files keep as tensors and config.json as numbers, by tensor name. */
export type ConfigVectors = Map<string, readonly number[]>;

export interface TranslatedConfig {
  /** `general.architecture`. */
  readonly architecture: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly vectors: ConfigVectors;
  /** The output matrix is the embedding. */
  readonly isTied: boolean;
}

/** GGUF's name of the architecture by `model_type`. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: 'llama',
  mistral: 'llama',
  smollm3: 'smollm3',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  qwen3_moe: 'qwen3moe',
  phi3: 'phi3',
  gemma2: 'gemma2',
  gemma3_text: 'gemma3',
  gemma3: 'gemma3',
  gpt_oss: 'gpt-oss',
};

/** Why a model that is no text decoder does not load, by a word in its `architectures`. */
const OTHER_KINDS: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [
    /^(Roberta|XLMRoberta|MPNet|DistilBert|ModernBert)/,
    'an embedding model of another kind; bert and nomic_bert are supported',
  ],
  [/^(T5|MT5|UMT5|Bart|MBart|Pegasus|Marian|Whisper)/, 'an encoder–decoder model; decoder-only models are supported'],
  [/(ForImage|VisionModel|CLIP|Siglip)/, 'a vision model; text models are supported'],
];

/** One number or string of config.json, and the key it becomes. */
const COPIED: readonly (readonly [from: string, to: string])[] = [
  ['max_position_embeddings', 'context_length'],
  ['hidden_size', 'embedding_length'],
  ['num_hidden_layers', 'block_count'],
  ['intermediate_size', 'feed_forward_length'],
  ['num_attention_heads', 'attention.head_count'],
  ['num_key_value_heads', 'attention.head_count_kv'],
  ['head_dim', 'attention.key_length'],
  ['rms_norm_eps', 'attention.layer_norm_rms_epsilon'],
  ['attn_logit_softcapping', 'attn_logit_softcapping'],
  ['final_logit_softcapping', 'final_logit_softcapping'],
  ['sliding_window_pattern', 'attention.sliding_window_pattern'],
  ['rope_local_base_freq', 'rope.freq_base_swa'],
  ['num_experts', 'expert_count'],
  ['num_local_experts', 'expert_count'],
  ['num_experts_per_tok', 'expert_used_count'],
  ['experts_per_token', 'expert_used_count'],
  ['moe_intermediate_size', 'expert_feed_forward_length'],
];

/** @throws EngineError model_unsupported or model_file_invalid, naming the file and the field */
export const translateConfig = (path: string, whole: Readonly<Record<string, unknown>>): TranslatedConfig => {
  const modelType = whole.model_type;
  const encoder = typeof modelType === 'string' ? ENCODER_TYPES[modelType] : undefined;
  if (encoder !== undefined) return translateEncoder(path, encoder, whole);
  const architecture = typeof modelType === 'string' ? ARCHITECTURES[modelType] : undefined;
  if (!architecture) throw unsupportedModel(path, whole);
  // Models that also see images keep the text model's configuration apart.
  const told = isObject(whole.text_config) ? whole.text_config : whole;
  const config = { ...CONFIG_DEFAULTS[String(modelType)], ...told };
  const translation = new Translation(path, config, architecture);
  return translation.run();
};

const unsupportedModel = (path: string, config: Readonly<Record<string, unknown>>): EngineError => {
  const classes = Array.isArray(config.architectures) ? config.architectures.map(String) : [];
  const kind = OTHER_KINDS.find(([pattern]) => classes.some((name) => pattern.test(name)))?.[1];
  const found = `model_type is ${JSON.stringify(config.model_type)}${classes.length ? ` (${classes.join(', ')})` : ''}`;
  const supported = Object.keys({ ...ARCHITECTURES, ...ENCODER_TYPES }).join(', ');
  return new EngineError('model_unsupported', `${path}: ${found}${kind ? `: ${kind}` : ''}; supported: ${supported}`);
};

/** Every so many layers one sees all keys; Gemma 3's files may say otherwise. */
const PERIODS: Readonly<Record<string, number>> = { gemma2: 2, gemma3: 6, 'gpt-oss': 2 };

/** Source: `get_mscale` of DeepSeek's modelling code, which others follow. */
const yarnMagnitude = (factor: number, scale: number): number => (factor <= 1 ? 1 : 1 + 0.1 * scale * Math.log(factor));

class Translation {
  readonly #path: string;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #architecture: string;
  readonly #metadata = new Map<string, MetadataValue>();
  readonly #vectors: ConfigVectors = new Map();

  constructor(path: string, config: Readonly<Record<string, unknown>>, architecture: string) {
    this.#path = path;
    this.#config = config;
    this.#architecture = architecture;
    this.#metadata.set('general.architecture', architecture);
  }

  run(): TranslatedConfig {
    this.#checkActivation();
    this.#checkLayers();
    for (const [from, to] of COPIED) {
      const value = this.#config[from];
      if (typeof value === 'number') this.#set(to, value);
    }
    this.#heads();
    this.#attention();
    this.#experts();
    this.#rope();
    const isTied = this.#config.tie_word_embeddings ?? this.#architecture.startsWith('gemma');
    return {
      architecture: this.#architecture,
      metadata: this.#metadata,
      vectors: this.#vectors,
      isTied: isTied === true,
    };
  }

  #set(key: string, value: MetadataValue): void {
    this.#metadata.set(`${this.#architecture}.${key}`, value);
  }

  #number(name: string): number | undefined {
    const value = this.#config[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }

  #required(name: string): number {
    return this.#number(name) ?? this.#fail('model_file_invalid', name, this.#config[name], 'a number');
  }

  #fail(code: 'model_file_invalid' | 'model_unsupported', name: string, value: unknown, allowed: string): never {
    const found = value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80);
    throw new EngineError(code, `${this.#path}: ${name} is ${found}; supported: ${allowed}`);
  }

  #checkActivation(): void {
    const name = this.#config.hidden_activation ?? this.#config.hidden_act;
    const isGemma = this.#architecture.startsWith('gemma');
    const allowed = isGemma ? ['gelu_pytorch_tanh', 'gelu'] : ['silu', 'swish'];
    if (name === undefined || name === null || allowed.includes(String(name))) return;
    this.#fail('model_unsupported', 'hidden_act', name, allowed.join(', '));
  }

  /** What the families' forward passes take for granted, where a configuration could say otherwise. */
  #checkLayers(): void {
    const { use_bidirectional_attention, use_sliding_window, no_rope_layers } = this.#config;
    if (use_bidirectional_attention === true) {
      const allowed =
        'false: this is an embedding model whose layers see the future; bert and nomic_bert are supported';
      this.#fail('model_unsupported', 'use_bidirectional_attention', true, allowed);
    }
    const firstWindowed = this.#number('max_window_layers') ?? 0;
    const hasWindows = use_sliding_window === true && firstWindowed < this.#required('num_hidden_layers');
    if (this.#architecture.startsWith('qwen') && hasWindows)
      this.#fail('model_unsupported', 'use_sliding_window', true, 'false, or max_window_layers of all layers');
    const isEveryFourth = (rotates: unknown, layer: number): boolean => Boolean(rotates) === ((layer + 1) % 4 !== 0);
    if (Array.isArray(no_rope_layers) && no_rope_layers.length > 0 && !no_rope_layers.every(isEveryFourth))
      this.#fail('model_unsupported', 'no_rope_layers', no_rope_layers, 'a 0 for every fourth layer');
  }

  #heads(): void {
    const headDim = this.#headDim();
    this.#set('attention.key_length', headDim);
    const share = this.#ropeParameters().partial_rotary_factor ?? this.#number('partial_rotary_factor') ?? 1;
    this.#set('rope.dimension_count', Math.floor(headDim * Number(share)));
    // Published weights pair the halves of a head; GGUF's converters reorder these families' rows to pair neighbours.
    if (this.#architecture === 'llama' || this.#architecture === 'smollm3') this.#set('rope.layout', 'half');
    const scalar = this.#number('query_pre_attn_scalar');
    if (scalar !== undefined) this.#set('attention.scale', 1 / Math.sqrt(scalar));
  }

  #headDim(): number {
    return (
      this.#number('head_dim') ?? Math.floor(this.#required('hidden_size') / this.#required('num_attention_heads'))
    );
  }

  #attention(): void {
    const window = this.#number('sliding_window');
    if (window !== undefined && this.#config.use_sliding_window !== false)
      this.#set('attention.sliding_window', window);
    const types = this.#config.layer_types;
    if (!Array.isArray(types)) return;
    if (!types.includes('sliding_attention')) {
      this.#metadata.delete(`${this.#architecture}.attention.sliding_window`);
      return;
    }
    const firstFull = types.indexOf('full_attention');
    const period = firstFull < 0 ? Number.POSITIVE_INFINITY : firstFull + 1;
    const usual = PERIODS[this.#architecture];
    const isPeriodic = types.every((type, layer) => (type === 'full_attention') === ((layer + 1) % period === 0));
    const isOwn = this.#architecture === 'gemma3' || period === usual || types.length < (usual ?? 0);
    if (usual === undefined ? firstFull >= 0 : !isPeriodic || !isOwn)
      this.#fail('model_unsupported', 'layer_types', types, 'the distances of this family between layers that see all');
    if (firstFull >= 0) this.#set('attention.sliding_window_pattern', period);
    else if (usual !== undefined) this.#set('attention.sliding_window_pattern', types.length + 1);
  }

  #experts(): void {
    if (!this.#metadata.has(`${this.#architecture}.expert_count`)) return;
    if (this.#number('moe_intermediate_size') === undefined) {
      this.#set('expert_feed_forward_length', this.#required('intermediate_size'));
    }
    if (typeof this.#config.norm_topk_prob === 'boolean') this.#set('expert_weights_norm', this.#config.norm_topk_prob);
  }

  /** Newer files keep the base beside the scaling, and Gemma's two kinds of layers apart. */
  #ropeParameters(): Readonly<Record<string, unknown>> {
    const whole = [this.#config.rope_parameters, this.#config.rope_scaling].find(isObject) ?? {};
    return isObject(whole.full_attention) ? whole.full_attention : whole;
  }

  #rope(): void {
    const parameters = this.#ropeParameters();
    const base = parameters.rope_theta ?? this.#number('rope_theta');
    if (typeof base === 'number') this.#set('rope.freq_base', base);
    const whole = this.#config.rope_parameters;
    const windowed = isObject(whole) && isObject(whole.sliding_attention) ? whole.sliding_attention : {};
    if (typeof windowed.rope_theta === 'number') this.#set('rope.freq_base_swa', windowed.rope_theta);
    const type = parameters.rope_type ?? parameters.type ?? 'default';
    if (type === 'default') return;
    if (type === 'longrope' || type === 'su') this.#longRope(parameters);
    else if (type === 'linear' || type === 'yarn' || type === 'llama3') this.#scaling(type, parameters);
    else this.#fail('model_unsupported', 'rope_scaling.rope_type', type, 'default, linear, llama3, yarn, longrope');
  }

  #scaling(type: string, parameters: Readonly<Record<string, unknown>>): void {
    this.#set('rope.scaling.type', type);
    const copy = (from: string, to: string): void => {
      const value = parameters[from];
      if (typeof value === 'number' || typeof value === 'boolean') this.#set(`rope.scaling.${to}`, value);
    };
    copy('factor', 'factor');
    copy('original_max_position_embeddings', 'original_context_length');
    copy('low_freq_factor', 'low_frequency_factor');
    copy('high_freq_factor', 'high_frequency_factor');
    copy('beta_fast', 'yarn_beta_fast');
    copy('beta_slow', 'yarn_beta_slow');
    copy('truncate', 'yarn_truncate');
    const { attention_factor: magnitude, factor, mscale, mscale_all_dim: allDim } = parameters;
    if (typeof magnitude === 'number') this.#set('rope.scaling.magnitude', magnitude);
    else if (
      typeof factor === 'number' &&
      typeof mscale === 'number' &&
      typeof allDim === 'number' &&
      mscale * allDim > 0
    )
      this.#set('rope.scaling.magnitude', yarnMagnitude(factor, mscale) / yarnMagnitude(factor, allDim));
  }

  #longRope(parameters: Readonly<Record<string, unknown>>): void {
    const original = this.#number('original_max_position_embeddings') ?? parameters.original_max_position_embeddings;
    if (typeof original !== 'number') {
      this.#fail('model_file_invalid', 'original_max_position_embeddings', original, 'a number, which LongRoPE needs');
    }
    this.#set('rope.scaling.original_context_length', original);
    for (const kind of ['short', 'long'] as const) {
      const factors = parameters[`${kind}_factor`];
      if (!Array.isArray(factors) || !factors.every((factor) => typeof factor === 'number')) {
        this.#fail('model_file_invalid', `rope_scaling.${kind}_factor`, factors, 'an array of numbers');
      }
      this.#vectors.set(`rope_factors_${kind}.weight`, factors);
    }
    const magnitude = parameters.attention_factor;
    if (typeof magnitude === 'number') this.#set('rope.scaling.attn_factor', magnitude);
  }
}
