/**
 * Gemma 2 (capped scores and logits) and Gemma 3 (normalised heads, a second rotary base): scaled embeddings, GeGLU, norms
 * behind each block, and layers that see a window in alternation with layers that see all.
 * Source: Gemma 2 and Gemma 3 technical reports; key names from the GGUF specification.
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import {
  type CommonConfig,
  ConfigKeys,
  type DecoderConfig,
  type RopeScheme,
  readCommonConfig,
  windowOfLayer,
} from './decoder-config.ts';
import { readRopeScaling } from './rope-scaling.ts';

/** Every so many layers one sees all keys. */
const GEMMA2_PATTERN = 2;
const GEMMA3_PATTERN = 6;
const GEMMA3_WINDOW_BASE = 10_000;
/** The 27 B models, known by their number of layers, scale queries by hidden size / heads instead of the head's length. */
const GEMMA2_27B_LAYERS = 46;
const GEMMA3_27B_LAYERS = 62;

const attentionScale = (keys: ConfigKeys, config: CommonConfig, largeLayers: number): number => {
  const { numLayers, hiddenSize, numHeads, attentionScale: told } = config;
  if (keys.has('attention.scale') || numLayers !== largeLayers) return told;
  return 1 / Math.sqrt(hiddenSize / numHeads);
};

const shared = (config: Omit<CommonConfig, 'rotaryDim' | 'ropeBase'>) =>
  ({ ...config, activation: 'gelu', embeddingScale: Math.sqrt(config.hiddenSize) }) as const;

export const gemma2: Architecture<DecoderConfig> = {
  name: 'gemma2',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const common = readCommonConfig(keys);
    const { rotaryDim, ropeBase: base, ...config } = common;
    const rope: RopeScheme = { base, rotaryDim, layout: 'half' };
    const window = keys.count('attention.sliding_window', 4096);
    const layers = Array.from({ length: config.numLayers }, (_, layer) => ({
      rope,
      ...windowOfLayer(layer, GEMMA2_PATTERN, window),
    }));
    return {
      ...shared(config),
      layers,
      attentionScale: attentionScale(keys, common, GEMMA2_27B_LAYERS),
      attentionSoftCap: keys.number('attn_logit_softcapping', 50),
      logitSoftCap: keys.number('final_logit_softcapping', 30),
    };
  },
  ...decoder,
};

export const gemma3: Architecture<DecoderConfig> = {
  name: 'gemma3',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const common = readCommonConfig(keys);
    const { rotaryDim, ropeBase: base, ...config } = common;
    const whole: RopeScheme = { base, rotaryDim, layout: 'half', ...readRopeScaling(keys, { base, rotaryDim }) };
    const windowed: RopeScheme = {
      base: keys.number('rope.freq_base_swa', GEMMA3_WINDOW_BASE),
      rotaryDim,
      layout: 'half',
    };
    const pattern = keys.count('attention.sliding_window_pattern', GEMMA3_PATTERN);
    const window = keys.optional('attention.sliding_window');
    const layers = Array.from({ length: config.numLayers }, (_, layer) => {
      const own = windowOfLayer(layer, pattern, window);
      return { rope: own.window === undefined ? whole : windowed, ...own };
    });
    const logitSoftCap = keys.optional('final_logit_softcapping');
    return {
      ...shared(config),
      layers,
      attentionScale: attentionScale(keys, common, GEMMA3_27B_LAYERS),
      ...(logitSoftCap === undefined ? {} : { logitSoftCap }),
    };
  },
  ...decoder,
};
