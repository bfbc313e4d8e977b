/**
 * SmolLM3: Llama whose every fourth layer does not rotate.
 * Source: SmolLM3 model card (NoPE, Yang et al. 2025).
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import { ConfigKeys, type DecoderConfig, readCommonConfig, ropeLayout } from './decoder-config.ts';
import { readRopeScaling } from './rope-scaling.ts';

const UNROTATED_EVERY = 4;

export const smollm3: Architecture<DecoderConfig> = {
  name: 'smollm3',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const { rotaryDim, ropeBase: base, ...config } = readCommonConfig(keys);
    const rope = { base, rotaryDim, layout: ropeLayout(keys), ...readRopeScaling(keys, { base, rotaryDim }) } as const;
    const layers = Array.from({ length: config.numLayers }, (_, layer) =>
      (layer + 1) % UNROTATED_EVERY === 0 ? {} : { rope },
    );
    return { ...config, activation: 'silu', layers };
  },
  ...decoder,
};
