/**
 * Phi-3, Phi-3.5 and Phi-4-mini: fused projections, partial rotation, LongRoPE.
 * Source: Phi-3 technical report and modelling code; Ding et al. 2024; key names from the GGUF specification.
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import { ConfigKeys, type DecoderConfig, type RopeScheme, readCommonConfig, sameLayers } from './decoder-config.ts';
import { longRopeMagnitude } from './rope-scaling.ts';

/**
 * Served with more than the original context, a model rotates by its long factors from the first token on: the cache
 * cannot change its mind half-way.
 */
const readRope = (keys: ConfigKeys, base: number, rotaryDim: number): RopeScheme => {
  const plain = { base, rotaryDim, layout: 'half' } as const;
  if (!keys.file.tensors.has('rope_factors_long.weight')) return plain;
  const originalContext = keys.count('rope.scaling.original_context_length');
  const trainedContext = keys.count('context_length');
  const usual = longRopeMagnitude(trainedContext / originalContext, originalContext);
  return {
    ...plain,
    frequencyFactors: { originalContext, short: 'rope_factors_short.weight', long: 'rope_factors_long.weight' },
    magnitude: keys.number('rope.scaling.attn_factor', usual),
  };
};

export const phi3: Architecture<DecoderConfig> = {
  name: 'phi3',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const { rotaryDim, ropeBase, ...config } = readCommonConfig(keys);
    const rope = readRope(keys, ropeBase, rotaryDim);
    const window = keys.optional('attention.sliding_window');
    const layer = { rope, ...(window === undefined ? {} : { window }) };
    return { ...config, activation: 'silu', layers: sameLayers(config.numLayers, layer) };
  },
  ...decoder,
  unusedTensors: ['rope_factors_long.weight', 'rope_factors_short.weight'],
};
