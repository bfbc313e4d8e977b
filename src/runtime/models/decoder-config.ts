/** What the decoder is told about a model, and the part of it that all GGUF files say in the same keys. */
import type { GluActivation } from '../../kernels/glu.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile } from '../weights/model-file.ts';
import type { ModelConfig } from './architecture.ts';

/** Two tensors of divisors: one for models served with up to `originalContext` tokens a sequence, one for more. */
export interface FactorsByContext {
  readonly originalContext: number;
  readonly short: string;
  readonly long: string;
}

/** A way to turn positions into angles. Layers that share the object share its table. */
export interface RopeScheme {
  readonly base: number;
  /** The first elements of a head that rotate. */
  readonly rotaryDim: number;
  readonly layout: 'interleaved' | 'half';
  /** [rotaryDim / 2] divisors of the frequencies, or the tensor that has them; absent: 1. */
  readonly frequencyFactors?: Float64Array | string | FactorsByContext;
  /** Multiplies every cosine and sine; 1 when absent. */
  readonly magnitude?: number;
}

export interface LayerConfig {
  /** Absent: the layer does not rotate. */
  readonly rope?: RopeScheme;
  /** Most keys a query sees; absent: all. */
  readonly window?: number;
}

export interface ExpertConfig {
  readonly numExperts: number;
  readonly expertsPerToken: number;
  /** Of one expert. */
  readonly feedForwardSize: number;
  /** A token's shares are a softmax over its chosen experts, or their part of the softmax over all. */
  readonly sharesOf: 'chosen' | 'all';
}

/** A decoder-only transformer with RMSNorm, grouped-query attention and gated feed-forward blocks. */
export interface DecoderConfig extends ModelConfig {
  readonly rmsNormEpsilon: number;
  /** One a layer. */
  readonly layers: readonly LayerConfig[];
  /** Of the feed-forward block's gate. */
  readonly activation: GluActivation;
  /** Factor of q · k. */
  readonly attentionScale: number;
  readonly attentionSoftCap?: number;
  readonly logitSoftCap?: number;
  /** Multiplies the token embeddings; 1 when absent. */
  readonly embeddingScale?: number;
  /** Of the layers whose tensors have a router. */
  readonly experts?: ExpertConfig;
}

/** What families share, before an architecture adds what is its own. */
export interface CommonConfig extends Omit<DecoderConfig, 'layers' | 'activation'> {
  readonly rotaryDim: number;
  readonly ropeBase: number;
}

/** The keys of one file under its architecture's prefix. */
export class ConfigKeys {
  readonly file: ModelFile;
  readonly #prefix: string;

  constructor(file: ModelFile) {
    this.file = file;
    this.#prefix = file.string('general.architecture');
  }

  has(name: string): boolean {
    return this.file.metadata.has(this.name(name));
  }

  name(name: string): string {
    return `${this.#prefix}.${name}`;
  }

  count(name: string, fallback?: number): number {
    return this.file.count(this.name(name), fallback);
  }

  number(name: string, fallback?: number): number {
    return this.file.number(this.name(name), fallback);
  }

  boolean(name: string, fallback?: boolean): boolean {
    return this.file.boolean(this.name(name), fallback);
  }

  string(name: string, fallback?: string): string {
    return this.file.string(this.name(name), fallback);
  }

  /** Undefined when absent or 0: the field's way to say "none". */
  optional(name: string): number | undefined {
    const value = this.number(name, 0);
    return value === 0 ? undefined : value;
  }

  /** @throws EngineError model_file_invalid naming the key, its value and what is allowed */
  require(isRight: boolean, name: string, value: number | string, allowed: string): void {
    if (isRight) return;
    throw new EngineError(
      'model_file_invalid',
      `${this.file.path}: ${this.name(name)} is ${value}; allowed: ${allowed}`,
    );
  }

  /** @throws EngineError model_unsupported */
  unsupported(name: string, value: number | string, supported: string): never {
    throw new EngineError(
      'model_unsupported',
      `${this.file.path}: ${this.name(name)} is ${JSON.stringify(value)}; supported: ${supported}`,
    );
  }
}

/**
 * Reads and checks the sizes. What would compute nonsense, or allocate for layers that are not there, is refused before
 * the tensors' shapes tell.
 * @throws EngineError model_file_invalid, naming the key
 */
export const readCommonConfig = (keys: ConfigKeys): CommonConfig => {
  const hiddenSize = keys.count('embedding_length');
  const numHeads = keys.count('attention.head_count');
  const headDim = keys.count('attention.key_length', Math.floor(hiddenSize / numHeads));
  const config = {
    contextLength: keys.count('context_length'),
    vocabularySize: keys.file.tensor('token_embd.weight').rows,
    hiddenSize,
    numLayers: keys.count('block_count'),
    numHeads,
    numKvHeads: keys.count('attention.head_count_kv', numHeads),
    headDim,
    feedForwardSize: keys.count('feed_forward_length'),
    rmsNormEpsilon: keys.number('attention.layer_norm_rms_epsilon', 1e-5),
    rotaryDim: keys.count('rope.dimension_count', headDim),
    ropeBase: keys.number('rope.freq_base', 10_000),
    attentionScale: keys.number('attention.scale', 1 / Math.sqrt(headDim)),
  };
  checkCommonConfig(keys, config);
  return config;
};

const checkCommonConfig = (keys: ConfigKeys, config: CommonConfig): void => {
  const { numLayers, numHeads, numKvHeads, headDim, rotaryDim, rmsNormEpsilon, ropeBase } = config;
  const lastLayer = `blk.${numLayers - 1}.attn_norm.weight`;
  const hasLayers = keys.file.tensors.has(lastLayer);
  keys.require(hasLayers, 'block_count', numLayers, `the layers in the file, which has no ${lastLayer}`);
  const divides = numHeads % numKvHeads === 0;
  keys.require(divides, 'attention.head_count_kv', numKvHeads, `a divisor of the ${numHeads} heads`);
  keys.require(headDim % 8 === 0, 'attention.key_length', headDim, 'a multiple of 8');
  const valueLength = keys.count('attention.value_length', headDim);
  keys.require(valueLength === headDim, 'attention.value_length', valueLength, `the key length, ${headDim}`);
  const isRotary = rotaryDim % 2 === 0 && rotaryDim <= headDim;
  keys.require(isRotary, 'rope.dimension_count', rotaryDim, `an even number up to the head's ${headDim}`);
  const positive = 'a positive number';
  keys.require(rmsNormEpsilon > 0, 'attention.layer_norm_rms_epsilon', rmsNormEpsilon, positive);
  keys.require(ropeBase > 0, 'rope.freq_base', ropeBase, positive);
};

/** The sizes of a mixture of experts. @throws EngineError model_file_invalid, naming the key */
export const readExpertConfig = (keys: ConfigKeys): ExpertConfig => {
  const numExperts = keys.count('expert_count');
  const expertsPerToken = keys.count('expert_used_count');
  const isPart = expertsPerToken <= numExperts;
  keys.require(isPart, 'expert_used_count', expertsPerToken, `at most the ${numExperts} experts`);
  const sharesOf = keys.boolean('expert_weights_norm', true) ? 'chosen' : 'all';
  return { numExperts, expertsPerToken, feedForwardSize: keys.count('expert_feed_forward_length'), sharesOf };
};

/** How this file's rows pair up: converters reorder the rows of some families, whose published weights pair halves. */
export const ropeLayout = (keys: ConfigKeys): RopeScheme['layout'] =>
  keys.string('rope.layout', 'interleaved') === 'half' ? 'half' : 'interleaved';

/** The same for every layer. */
export const sameLayers = (numLayers: number, layer: LayerConfig): LayerConfig[] => new Array(numLayers).fill(layer);

/** The window of a model whose every `pattern`-th layer, counted from 1, sees all keys. */
export const windowOfLayer = (layer: number, pattern: number, window: number | undefined): { window?: number } =>
  window === undefined || (layer + 1) % pattern === 0 ? {} : { window };
