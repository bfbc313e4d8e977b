/**
 * BERT as all-MiniLM, BGE, E5 and others have it: rows for positions and token types, biases everywhere, GELU.
 * Source: Devlin et al. 2019; key names from the GGUF specification.
 */
import { ConfigKeys } from './decoder-config.ts';
import { type EncoderArchitecture, encoder, readEncoderConfig } from './encoder.ts';

export const bert: EncoderArchitecture = {
  name: 'bert',
  readConfig(file) {
    const config = readEncoderConfig(new ConfigKeys(file));
    const contextLength = Math.min(config.contextLength, file.tensor('position_embd.weight').rows);
    return { ...config, contextLength };
  },
  ...encoder,
};
