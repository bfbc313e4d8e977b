/** Metadata that no kernel could make sense of is refused by name, before anything is allocated for it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRandomGguf } from '../../../bench/random-gguf.ts';
import type { ModelShape } from '../../../bench/random-shapes.ts';
import { llama } from '../../../src/runtime/models/llama.ts';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import type { ModelFile } from '../../../src/runtime/weights/model-file.ts';

const SHAPE = {
  dim: 64,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  ffnDim: 96,
  vocabularySize: 300,
  contextLength: 256,
  ropeBase: 10_000,
  isTied: true,
};

let folder: string;
let whole: Buffer;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
  const path = join(folder, 'whole.gguf');
  writeRandomGguf(path, SHAPE, 'f32');
  whole = readFileSync(path);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Opens the file after `change` was let loose on the bytes that follow `name`. */
const opened = async (name: string, change: (after: Buffer) => void): Promise<ModelFile> => {
  const bytes = Buffer.from(whole);
  change(bytes.subarray(bytes.indexOf(name) + name.length));
  const path = join(folder, 'changed.gguf');
  writeFileSync(path, bytes);
  return openGguf(path);
};

const VALUE_OFFSET = 4;
const u32 = (value: number) => (after: Buffer) => void after.writeUInt32LE(value, VALUE_OFFSET);
const f32 = (value: number) => (after: Buffer) => void after.writeFloatLE(value, VALUE_OFFSET);

test('a file that was left as it is is read', async () => {
  const file = await opened('llama.block_count', u32(2));
  expect(llama.readConfig(file)).toMatchObject({
    numLayers: 2,
    headDim: 16,
    vocabularySize: 300,
    layers: [{ rope: { rotaryDim: 16 } }, {}],
  });
  expect(ggufTokenizer(file)).toMatchObject({ model: 'llama' });
  await file.close();
});

test.each([
  ['llama.block_count', u32(2_000_000_000), /the layers in the file/],
  ['llama.attention.head_count_kv', u32(3), /a divisor of the 4 heads/],
  ['llama.attention.head_count_kv', u32(8), /a divisor of the 4 heads/],
  ['llama.rope.dimension_count', u32(32), /an even number up to the head's 16/],
  ['llama.rope.dimension_count', u32(7), /an even number up to the head's 16/],
  ['llama.attention.layer_norm_rms_epsilon', f32(-1), /a positive number/],
  ['llama.rope.freq_base', f32(0), /a positive number/],
])('%s out of range is refused with its name, its value and what is allowed', async (field, change, allowed) => {
  const file = await opened(field, change);
  const read = (): unknown => llama.readConfig(file);
  expect(read).toThrow(expect.objectContaining({ code: 'model_file_invalid' }));
  expect(read).toThrow(new RegExp(`${field} is .*${allowed.source}`));
  await file.close();
});

test('a vocabulary larger than the embedding is refused', async () => {
  const rowsOffset = 4 + 8;
  const file = await opened('token_embd.weight', (after) => void after.writeBigUInt64LE(299n, rowsOffset));
  expect(() => ggufTokenizer(file)).toThrow(/tokens has 300 entries, token_embd\.weight only 299 rows/);
  await file.close();
});

describe('scaling of rotation', () => {
  const ropeOf = async (metadata: ModelShape['metadata'], vectors: ModelShape['vectors'] = {}) => {
    const path = join(folder, 'scaled.gguf');
    writeRandomGguf(path, { ...SHAPE, vectors, ...(metadata ? { metadata } : {}) }, 'f32');
    const file = await openGguf(path);
    try {
      return llama.readConfig(file).layers[0]?.rope?.frequencyFactors;
    } finally {
      await file.close();
    }
  };
  test.each(['rope.scaling.factor', 'rope.scale_linear'])('is linear where %s is all that a file says', async (key) => {
    expect(await ropeOf({ [key]: { f32: 4 } })).toEqual(new Float64Array(8).fill(4));
  });
  test('takes the trained context for the original one, where a file names none', async () => {
    const yarn = { 'rope.scaling.type': { string: 'yarn' }, 'rope.scaling.factor': { f32: 4 } };
    const named = { ...yarn, 'rope.scaling.original_context_length': { u32: SHAPE.contextLength } };
    expect(await ropeOf(yarn)).toEqual(await ropeOf(named));
  });
  test('is refused beside factors of its own', async () => {
    const factors = { 'rope_freqs.weight': new Array<number>(8).fill(2) };
    expect(await ropeOf({ 'rope.scaling.factor': { f32: 1 } }, factors)).toBe('rope_freqs.weight');
    await expect(ropeOf({ 'rope.scaling.factor': { f32: 4 } }, factors)).rejects.toThrow(
      /rope\.scaling\.type is "linear"/,
    );
  });
});
