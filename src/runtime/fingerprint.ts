/** A digest of what a model computes: models whose KV must not be mixed up have different ones. */
import { createHash, type Hash } from 'node:crypto';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import type { ModelFile, ModelTensor } from './weights/model-file.ts';

export interface FingerprintParts {
  readonly file: ModelFile;
  /** As the architecture read it: sizes, rotation, windows, scales. */
  readonly config: object;
  /** What text becomes; the chat template is no part of it, since KV goes by token ids. */
  readonly tokenizer: TokenizerDefinition | undefined;
  /** What a sequence may have: some models rotate by it. */
  readonly contextLength: number;
  /** How numbers are computed and tokens drawn. */
  readonly arithmetic: string;
}

/** A tensor is sampled at so many places, its beginning and its end among them … */
const NUM_SAMPLES = 9;
/** … and so many bytes are read at each: enough to tell fine-tunes apart without reading gigabytes. */
const SAMPLE_BYTES = 4096;

/** 32 hex digits. Reads up to 36 KiB of each tensor. @throws EngineError model_file_invalid */
export const fingerprint = async ({
  file,
  config,
  tokenizer,
  contextLength,
  arithmetic,
}: FingerprintParts): Promise<string> => {
  const hash = createHash('sha256').update(`${arithmetic};`);
  hash.update(canonical(config, contextLength));
  hash.update(canonical(tokenizer && { ...tokenizer, chatTemplate: undefined }, contextLength));
  hash.update(`${await file.byteLength()};`);
  for (const tensor of file.tensors.values()) await addTensor(hash, file, tensor);
  return hash.digest('hex').slice(0, 32);
};

const addTensor = async (hash: Hash, file: ModelFile, tensor: ModelTensor): Promise<void> => {
  const { name, type, shape, byteLength, addend = 0 } = tensor;
  hash.update(`${name}:${type}:${shape.join('x')}:${addend};`);
  if (byteLength <= NUM_SAMPLES * SAMPLE_BYTES) {
    hash.update(await file.readTensor(tensor));
    return;
  }
  const lastStart = byteLength - SAMPLE_BYTES;
  for (let sample = 0; sample < NUM_SAMPLES; sample++) {
    const start = Math.floor((lastStart * sample) / (NUM_SAMPLES - 1));
    hash.update(await file.readTensor(tensor, start, SAMPLE_BYTES));
  }
};

/** JSON, with what JSON has no words for, and of two ways to rotate only whether it is the long one. */
const canonical = (value: unknown, contextLength: number): string =>
  `${JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'number' && !Number.isFinite(part)) return String(part);
    if (part instanceof Uint8Array) return createHash('sha256').update(part).digest('hex');
    const isByContext = typeof part === 'object' && part !== null && 'originalContext' in part;
    return isByContext ? { ...part, isLong: contextLength > Number(part.originalContext) } : part;
  })};`;
