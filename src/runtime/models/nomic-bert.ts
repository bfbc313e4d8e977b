/**
 * Nomic's BERT (nomic-embed-text 1 and 1.5): rotated heads in place of rows for positions, SwiGLU, no biases but the norms'.
 * Source: Nussbaum et al. 2024; key names from the GGUF specification.
 */
import { ConfigKeys } from './decoder-config.ts';
import { type EncoderArchitecture, encoder, readEncoderConfig } from './encoder.ts';

export const nomicBert: EncoderArchitecture = {
  name: 'nomic-bert',
  readConfig(file) {
    const keys = new ConfigKeys(file);
    const config = readEncoderConfig(keys);
    const rotaryDim = keys.count('rope.dimension_count', config.headDim);
    const isRotary = rotaryDim % 2 === 0 && rotaryDim <= config.headDim;
    keys.require(isRotary, 'rope.dimension_count', rotaryDim, `an even number up to the head's ${config.headDim}`);
    const base = keys.number('rope.freq_base', 1000);
    keys.require(base > 0, 'rope.freq_base', base, 'a positive number');
    return { ...config, rope: { base, rotaryDim, layout: 'half' } };
  },
  ...encoder,
};
