/**
 * gpt-oss: a mixture of experts in MXFP4, attention sinks, YaRN, a window in every other layer, biases everywhere, and a
 * clamped gate.
 * Source: gpt-oss model card and reference implementation; key names from the GGUF specification.
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import { ConfigKeys, type DecoderConfig, readCommonConfig, readExpertConfig, windowOfLayer } from './decoder-config.ts';
import { readRopeScaling } from './rope-scaling.ts';

/** Every so many layers one sees all keys. */
const PATTERN = 2;

export const gptOss: Architecture<DecoderConfig> = {
  name: 'gpt-oss',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const { rotaryDim, ropeBase: base, ...config } = readCommonConfig(keys);
    const rope = { base, rotaryDim, layout: 'half', ...readRopeScaling(keys, { base, rotaryDim }) } as const;
    const window = keys.count('attention.sliding_window');
    const layers = Array.from({ length: config.numLayers }, (_, layer) => ({
      rope,
      ...windowOfLayer(layer, PATTERN, window),
    }));
    return { ...config, activation: 'clamped-silu', layers, experts: readExpertConfig(keys) };
  },
  ...decoder,
};
