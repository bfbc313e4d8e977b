/**
 * Llama 2, 3, 3.x, Mistral, SmolLM2 and models of the same shape.
 * Source: Touvron et al. 2023; Jiang et al. 2023 (sliding window); key names from the GGUF specification.
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import { ConfigKeys, type DecoderConfig, readCommonConfig, ropeLayout, sameLayers } from './decoder-config.ts';
import { readRopeScaling } from './rope-scaling.ts';

export const llama: Architecture<DecoderConfig> = {
  name: 'llama',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const { rotaryDim, ropeBase: base, ...config } = readCommonConfig(keys);
    const numExperts = keys.number('expert_count', 0);
    if (numExperts > 0) keys.unsupported('expert_count', numExperts, 'dense models of this architecture');
    const rope = { base, rotaryDim, layout: ropeLayout(keys), ...readRopeScaling(keys, { base, rotaryDim }) } as const;
    const window = keys.optional('attention.sliding_window');
    const layer = { rope, ...(window === undefined ? {} : { window }) };
    return { ...config, activation: 'silu', layers: sameLayers(config.numLayers, layer) };
  },
  ...decoder,
};
