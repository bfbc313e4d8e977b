/** How positions beyond a model's first context length are brought into it: divisors of the rotary frequencies. */
import type { ConfigKeys, RopeScheme } from './decoder-config.ts';

/**
 * What `rope.scaling.*` says: nothing, linear, Llama 3 or YaRN. GGUF files have Llama 3's factors as a tensor, and
 * LongRoPE's as two.
 * @throws EngineError model_file_invalid, model_unsupported
 */
export const readRopeScaling = (
  keys: ConfigKeys,
  { base, rotaryDim }: { readonly base: number; readonly rotaryDim: number },
): Pick<RopeScheme, 'frequencyFactors' | 'magnitude'> => {
  // Files older than the type say linear by a factor alone, or by its first name.
  const factorOf = (): number => keys.number('rope.scaling.factor', keys.number('rope.scale_linear', 1));
  const type = keys.string('rope.scaling.type', factorOf() === 1 ? 'none' : 'linear');
  const isScaled = type !== 'none' && factorOf() !== 1;
  if (keys.file.tensors.has('rope_freqs.weight')) {
    if (isScaled) keys.unsupported('rope.scaling.type', type, 'none, where rope_freqs.weight has the factors');
    return { frequencyFactors: 'rope_freqs.weight' };
  }
  if (type === 'none') return {};
  if (type !== 'linear' && type !== 'yarn' && type !== 'llama3') {
    keys.unsupported('rope.scaling.type', type, 'none, linear, llama3, yarn');
  }
  const factor = type === 'linear' ? factorOf() : keys.number('rope.scaling.factor');
  keys.require(factor > 0, 'rope.scaling.factor', factor, 'a positive number');
  if (type === 'linear') return { frequencyFactors: new Float64Array(rotaryDim / 2).fill(factor) };
  const originalContext = keys.count('rope.scaling.original_context_length', keys.count('context_length'));
  if (type === 'llama3') {
    const lowFrequencyFactor = keys.number('rope.scaling.low_frequency_factor');
    const highFrequencyFactor = keys.number('rope.scaling.high_frequency_factor');
    const scaling = { rotaryDim, base, factor, lowFrequencyFactor, highFrequencyFactor, originalContext };
    return { frequencyFactors: llama3FrequencyFactors(scaling) };
  }
  const betaFast = keys.number('rope.scaling.yarn_beta_fast', 32);
  const betaSlow = keys.number('rope.scaling.yarn_beta_slow', 1);
  const truncates = keys.boolean('rope.scaling.yarn_truncate', true);
  const usual = yarnMagnitude(factor) * keys.number('rope.scaling.attn_factor', 1);
  return {
    frequencyFactors: yarnFrequencyFactors({
      rotaryDim,
      base,
      factor,
      originalContext,
      betaFast,
      betaSlow,
      truncates,
    }),
    magnitude: keys.number('rope.scaling.magnitude', usual),
  };
};

export interface Llama3Scaling {
  readonly rotaryDim: number;
  readonly base: number;
  /** `factor`: how far the longest wavelengths are stretched. */
  readonly factor: number;
  /** `low_freq_factor` */
  readonly lowFrequencyFactor: number;
  /** `high_freq_factor` */
  readonly highFrequencyFactor: number;
  /** `original_max_position_embeddings`, in tokens. */
  readonly originalContext: number;
}

/**
 * Divisors of the frequencies for Llama 3.1 and later: long wavelengths are stretched by `factor`, short ones stay, and
 * those between are blended.
 * Source: Meta's `apply_scaling` in llama-models, models/llama3.
 */
export const llama3FrequencyFactors = (scaling: Llama3Scaling): Float64Array => {
  const { rotaryDim, base, factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  return Float64Array.from({ length: rotaryDim / 2 }, (_, pair) => {
    const wavelength = 2 * Math.PI * base ** ((2 * pair) / rotaryDim);
    const turns = originalContext / wavelength;
    if (turns > highFrequencyFactor) return 1;
    if (turns < lowFrequencyFactor) return factor;
    const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - blend) / factor + blend);
  });
};

export interface YarnScaling {
  readonly rotaryDim: number;
  readonly base: number;
  readonly factor: number;
  /** In tokens. */
  readonly originalContext: number;
  /** Turns within the original context above which a pair keeps its frequency; 32 when absent. */
  readonly betaFast?: number;
  /** Turns below which a pair is stretched by the whole factor; 1 when absent. */
  readonly betaSlow?: number;
  /** Rounds the ramp's ends outwards to whole pairs; true when absent. */
  readonly truncates?: boolean;
}

/**
 * Divisors of the frequencies for YaRN: pairs that turn often stay, slow ones are stretched by `factor`, a ramp between.
 * Source: Peng et al. 2023 (arXiv 2309.00071), section 3.2 and its reference code.
 */
export const yarnFrequencyFactors = (scaling: YarnScaling): Float64Array => {
  const { rotaryDim, base, factor, originalContext, betaFast = 32, betaSlow = 1, truncates = true } = scaling;
  const pairOf = (turns: number) =>
    (rotaryDim * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [fast, slow] = [pairOf(betaFast), pairOf(betaSlow)];
  const low = Math.max(0, truncates ? Math.floor(fast) : fast);
  const high = Math.min(rotaryDim - 1, truncates ? Math.ceil(slow) : slow);
  return Float64Array.from({ length: rotaryDim / 2 }, (_, pair) => {
    const ramp = Math.min(1, Math.max(0, (pair - low) / Math.max(0.001, high - low)));
    return 1 / (1 - ramp + ramp / factor);
  });
};

/** What YaRN multiplies queries and keys by. Source: Peng et al. 2023, section 3.4. */
export const yarnMagnitude = (factor: number): number => (factor <= 1 ? 1 : 1 + 0.1 * Math.log(factor));

/** What LongRoPE multiplies queries and keys by. Source: Ding et al. 2024; Phi-3's modelling code. */
export const longRopeMagnitude = (factor: number, originalContext: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext));
