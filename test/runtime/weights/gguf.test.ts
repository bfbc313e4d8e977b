import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src/runtime/errors.ts';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { testData } from '../../support/test-data.ts';

/** A small valid file: scalars, a string array and two tensors. */
const sampleFile = (): Buffer => {
  const parts: Buffer[] = [];
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    parts.push(bytes);
  };
  const text = (value: string) => {
    u64(Buffer.byteLength(value));
    parts.push(Buffer.from(value));
  };
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(2);
  u64(3);
  text('general.architecture');
  u32(8);
  text('llama');
  text('llama.context_length');
  u32(4);
  u32(128);
  text('tokenizer.ggml.tokens');
  u32(9);
  u32(8);
  u64(3);
  for (const token of ['a', 'constructor', 'é']) text(token);
  for (const [name, type, offset] of [
    ['first', 0, 0],
    ['second', 8, 256],
  ] as const) {
    text(name);
    u32(2);
    u64(32);
    u64(2);
    u32(type);
    u64(offset);
  }
  const header = Buffer.concat(parts);
  const start = Math.ceil(header.length / 32) * 32;
  const data = Buffer.alloc(256 + 68);
  for (let index = 0; index < 64; index++) data.writeFloatLE(index, 4 * index);
  return Buffer.concat([header, Buffer.alloc(start - header.length), data]);
};

/** A seeded generator, so that a failing mutation can be run again. */
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gguf-'));
  path = join(folder, 'sample.gguf');
});
afterAll(() => rmSync(folder, { recursive: true }));

const failure = async (bytes: Buffer): Promise<EngineError> => {
  writeFileSync(path, bytes);
  const error = await openGguf(path).then(
    (file) => file.close().then(() => new Error('was accepted')),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
};

describe('openGguf', () => {
  test('reads metadata, the tensor directory and tensor bytes', async () => {
    writeFileSync(path, sampleFile());
    const file = await openGguf(path);
    expect(file.version).toBe(3);
    expect(file.string('general.architecture')).toBe('llama');
    expect(file.count('llama.context_length')).toBe(128);
    expect(file.strings('tokenizer.ggml.tokens')).toEqual(['a', 'constructor', 'é']);
    const first = file.tensor('first');
    expect(first).toMatchObject({ type: 'F32', rows: 2, columns: 32, byteLength: 256 });
    const bytes = await file.readTensor(first, 128, 8);
    expect([...new Float32Array(bytes.buffer)]).toEqual([32, 33]);
    expect(file.tensor('second')).toMatchObject({ type: 'Q8_0', byteLength: 68 });
    await file.close();
  });

  test('names a missing key, a wrong type and a missing tensor', async () => {
    writeFileSync(path, sampleFile());
    const file = await openGguf(path);
    expect(() => file.number('llama.block_count')).toThrow(/llama\.block_count is missing/);
    expect(() => file.number('general.architecture')).toThrow(/general\.architecture is "llama"; it must be a number/);
    expect(() => file.tensor('third')).toThrow(/tensor third is missing/);
    await file.close();
  });

  test('names the field and the offset of what is wrong', async () => {
    const good = sampleFile();
    const patched = (change: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(good);
      change(bytes);
      return bytes;
    };
    expect((await failure(Buffer.from('PK\x03\x04zip'))).message).toMatch(/magic number at byte 0/);
    expect((await failure(Buffer.alloc(0))).code).toBe('model_file_invalid');
    expect((await failure(patched((bytes) => bytes.writeUInt32LE(1, 4)))).message).toMatch(/version at byte 4 is 1/);
    expect((await failure(patched((bytes) => bytes.writeBigUInt64LE(2n ** 60n, 8)))).message).toMatch(/tensor count/);
    expect((await failure(patched((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 24)))).message).toMatch(
      /length of metadata key 0 at byte/,
    );
    expect((await failure(good.subarray(0, good.length - 1))).message).toMatch(/tensor second .* is cut; download it/);
    expect((await failure(good.subarray(0, 100))).message).toMatch(/runs past the end of the file \(100 bytes\)/);
  });

  test('answers every damaged file with an EngineError or a consistent directory', async () => {
    const good = sampleFile();
    let refused = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const next = random(seed);
      const bytes = Buffer.from(good.subarray(0, next() < 0.3 ? Math.floor(next() * good.length) : good.length));
      const changes = 1 + Math.floor(next() * 4);
      for (let change = 0; change < changes && bytes.length > 0; change++) {
        bytes[Math.floor(next() * Math.min(bytes.length, 420))] = next() < 0.5 ? 255 : Math.floor(next() * 256);
      }
      writeFileSync(path, bytes);
      try {
        const file = await openGguf(path);
        for (const tensor of file.tensors.values()) {
          expect(tensor.offset + tensor.byteLength).toBeLessThanOrEqual(bytes.length);
          expect((await file.readTensor(tensor)).byteLength).toBe(tensor.byteLength);
        }
        await file.close();
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  const vocabulary = testData('tokenizers/gpt-2.gguf');
  test.runIf(vocabulary)('reads a real vocabulary', async () => {
    const file = await openGguf(vocabulary!);
    expect(file.strings('tokenizer.ggml.tokens')?.length).toBe(50257);
    await file.close();
  });
});
