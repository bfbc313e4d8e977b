import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeRandomGguf } from '../../bench/random-gguf.ts';
import type { ModelShape } from '../../bench/random-shapes.ts';
import { fingerprint } from '../../src/runtime/fingerprint.ts';
import { findArchitecture } from '../../src/runtime/models/index.ts';
import { ggufTokenizer } from '../../src/runtime/weights/gguf-tokenizer.ts';
import { openModel } from '../../src/runtime/weights/open-model.ts';
import { readTokenizerJson } from '../../src/runtime/weights/tokenizer-json.ts';
import type { VocabularyDefinition } from '../../src/workers/tokenizer/definition.ts';
import { writeConfig, writeTinyModel } from '../support/tiny-hugging-face.ts';

const folder = mkdtempSync(join(tmpdir(), 'fingerprint-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Its embeddings have 320,000 bytes, more than are read. */
const SHAPE: ModelShape = {
  dim: 64,
  numLayers: 1,
  numHeads: 4,
  numKvHeads: 2,
  ffnDim: 64,
  vocabularySize: 1250,
  contextLength: 256,
  ropeBase: 10_000,
  isTied: true,
};
let numFiles = 0;
const write = (shape: ModelShape = SHAPE): string => {
  const path = join(folder, `${numFiles++}.gguf`);
  writeRandomGguf(path, shape, 'f32');
  return path;
};

interface Changes {
  readonly tokenizer?: (definition: VocabularyDefinition) => Partial<VocabularyDefinition>;
  readonly arithmetic?: string;
  readonly contextLength?: number;
}

const digest = async (path: string, { tokenizer: change, arithmetic = 'f32', contextLength = 64 }: Changes = {}) => {
  const file = await openModel(path);
  const own = (ggufTokenizer(file) ?? (await readTokenizerJson(path))) as VocabularyDefinition | undefined;
  const tokenizer = own && change ? { ...own, ...change(own) } : own;
  const config = findArchitecture(file.string('general.architecture'), file.path).readConfig(file);
  const result = await fingerprint({ file, config, tokenizer, contextLength, arithmetic });
  await file.close();
  return result;
};

const plain = write();
const expected = digest(plain);

test('is the same for the same bytes, whatever the chat template and the context', async () => {
  expect(await digest(write())).toBe(await expected);
  const changes = { tokenizer: () => ({ chatTemplate: 'other' }), contextLength: 128 };
  expect(await digest(plain, changes)).toBe(await expected);
});

test.each<[string, Partial<ModelShape>]>([
  ['the base of the rotation', { ropeBase: 20_000 }],
  ['its scaling', { metadata: { 'rope.scaling.type': { string: 'linear' }, 'rope.scaling.factor': { f32: 2 } } }],
  ['the scale of attention', { metadata: { 'attention.scale': { f32: 0.5 } } }],
  ['the rotated part of heads', { metadata: { 'rope.dimension_count': { u32: 8 } } }],
  ['the window', { metadata: { 'attention.sliding_window': { u32: 16 } } }],
])('changes with %s', async (_, change) => {
  expect(await digest(write({ ...SHAPE, ...change }))).not.toBe(await expected);
});

test.each<[string, Changes]>([
  ['a token', { tokenizer: ({ tokens }) => ({ tokens: tokens.with(400, 'other') }) }],
  ['the kind of a token', { tokenizer: ({ tokenTypes }) => ({ tokenTypes: tokenTypes.with(400, 3) }) }],
  ['merges', { tokenizer: () => ({ merges: ['a b'] }) }],
  ['how text is normalized', { tokenizer: () => ({ normalizer: [{ kind: 'nfc' }] }) }],
  ['compiled rules of it', { tokenizer: () => ({ normalizer: [{ kind: 'charsmap', bytes: Uint8Array.of(1) }] }) }],
  ['the arithmetic', { arithmetic: 'f16' }],
])('changes with %s', async (_, changes) => {
  expect(await digest(plain, changes)).not.toBe(await expected);
});

test.each([0, 0.5, 1])('changes with weights at %d of a tensor', async (place) => {
  const path = write();
  const file = await openModel(path);
  const [piece] = file.tensor('token_embd.weight').pieces;
  await file.close();
  const handle = openSync(path, 'r+');
  writeSync(handle, Uint8Array.of(7, 7, 7, 7), 0, 4, piece!.offset + place * (piece!.byteLength - 4));
  closeSync(handle);
  expect(await digest(path)).not.toBe(await expected);
});

test('changes with the length of the file', async () => {
  const path = write();
  truncateSync(path, 4_000_000);
  expect(await digest(path)).not.toBe(await expected);
});

test('changes with the tokenizer.json and config.json of a folder', async () => {
  const tokenizerJson = (merges: string[]) => ({
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3, bc: 4 }, merges },
  });
  const digests = new Set<string>();
  const add = async (merges: string[], config: object): Promise<void> => {
    const path = mkdtempSync(join(folder, 'tiny-'));
    writeTinyModel(path);
    writeConfig(path, config as Record<string, unknown>);
    writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizerJson(merges)));
    digests.add(await digest(path));
  };
  await add(['a b', 'b c'], {});
  await add(['b c', 'a b'], {});
  await add(['a b', 'b c'], { rope_theta: 20_000 });
  await add(['a b', 'b c'], { rms_norm_eps: 1e-6 });
  expect(digests.size).toBe(4);
  await add(['a b', 'b c'], {});
  expect(digests.size).toBe(4);
});
