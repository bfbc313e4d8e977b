/** Every architecture that Firstlight loads. */
import { EngineError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { bert } from './bert.ts';
import type { EncoderArchitecture } from './encoder.ts';
import { gemma2, gemma3 } from './gemma.ts';
import { gptOss } from './gpt-oss.ts';
import { llama } from './llama.ts';
import { nomicBert } from './nomic-bert.ts';
import { phi3 } from './phi3.ts';
import { qwen2, qwen3, qwen3moe } from './qwen.ts';
import { smollm3 } from './smollm3.ts';

const ARCHITECTURES = [llama, smollm3, qwen2, qwen3, qwen3moe, phi3, gemma2, gemma3, gptOss] as readonly Architecture[];

const ENCODERS: readonly EncoderArchitecture[] = [bert, nomicBert];

/** What a file is that holds no text decoder, by its architecture's name. */
const OTHER_KINDS: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/bert|embedding/, 'an embedding model of another kind; bert and nomic-bert are supported'],
  [/^clip$|^mmproj/, 'a vision projector; load the text model that it belongs to'],
  [/^t5/, 'an encoder–decoder model; decoder-only models are supported'],
  [/mamba|rwkv/, 'a state-space model; transformers are supported'],
];

/** Undefined for what is no encoder. */
export const findEncoder = (name: string): EncoderArchitecture | undefined =>
  ENCODERS.find((candidate) => candidate.name === name);

/** @throws EngineError model_unsupported, naming what is supported */
export const findArchitecture = (name: string, path: string): Architecture => {
  const architecture = ARCHITECTURES.find((candidate) => candidate.name === name);
  if (architecture) return architecture;
  if (findEncoder(name)) {
    throw new EngineError(
      'model_unsupported',
      `${path}: "${name}" is an encoder, which makes embeddings and no logits: serve it and ask at /v1/embeddings`,
    );
  }
  const kind = OTHER_KINDS.find(([pattern]) => pattern.test(name))?.[1];
  const supported = [...ARCHITECTURES, ...ENCODERS].map((candidate) => candidate.name).join(', ');
  throw new EngineError(
    'model_unsupported',
    `${path}: architecture "${name}" is not supported${kind ? `: it is ${kind}` : ''}; supported: ${supported}`,
  );
};
