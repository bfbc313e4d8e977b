/**
 * Qwen 2 and 2.5 (biases on Q, K and V) and Qwen 3 (normalised query and key heads; dense or a mixture of experts): the
 * tensors in the file say which.
 * Source: Qwen2 and Qwen3 technical reports; key names from the GGUF specification.
 */
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';
import { ConfigKeys, type DecoderConfig, readCommonConfig, readExpertConfig, sameLayers } from './decoder-config.ts';
import { readRopeScaling } from './rope-scaling.ts';

const qwen = (name: string, isMixture = false): Architecture<DecoderConfig> => ({
  name,
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const { rotaryDim, ropeBase: base, ...config } = readCommonConfig(keys);
    const rope = { base, rotaryDim, layout: 'half', ...readRopeScaling(keys, { base, rotaryDim }) } as const;
    const experts = isMixture ? { experts: readExpertConfig(keys) } : {};
    return { ...config, activation: 'silu', layers: sameLayers(config.numLayers, { rope }), ...experts };
  },
  ...decoder,
});

export const qwen2 = qwen('qwen2');
export const qwen3 = qwen('qwen3');
export const qwen3moe = qwen('qwen3moe', true);
