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

interface OddFault {
  alignment?: number;
  second?: string | Buffer;
  depth?: number;
  bool?: number;
  big?: bigint;
  arrayLength?: bigint;
}

const little = (byteLength: 4 | 8, value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(byteLength);
  if (byteLength === 4) bytes.writeUInt32LE(Number(value));
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const u32 = (value: number) => little(4, value);
const u64 = (value: number | bigint) => little(8, value);
const text = (value: string | Buffer) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const magic = (numTensors: number, numEntries: number) =>
  Buffer.concat([Buffer.from('GGUF'), u32(3), u64(numTensors), u64(numEntries)]);

/** A file without tensors whose second metadata entry is at fault. */
const oddFile = ({ alignment = 32, second = 'x', depth = 0, bool, big, arrayLength }: OddFault): Buffer => {
  const value = [];
  if (bool !== undefined) value.push(u32(7), Buffer.of(bool));
  else if (big !== undefined) value.push(u32(10), u64(big));
  else {
    value.push(u32(9));
    for (let level = 0; level < depth; level++) value.push(u32(9), u64(1));
    value.push(u32(4), u64(arrayLength ?? 1), u32(7));
  }
  return Buffer.concat([magic(0, 2), text('general.alignment'), u32(4), u32(alignment), text(second), ...value]);
};

interface TensorFault {
  dimensions?: bigint[];
  type?: number;
  offset?: bigint;
  names?: string[];
}

const tensorFile = ({ dimensions = [32n], type = 0, offset = 0n, names = ['a'] }: TensorFault): Buffer =>
  Buffer.concat([
    magic(names.length, 0),
    ...names.flatMap((name) => [text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset)]),
    Buffer.alloc(192),
  ]);

describe('openGguf', () => {
  test('reads metadata, the tensor directory and tensor bytes', async () => {
    writeFileSync(path, sampleFile());
    const file = await openGguf(path);
    expect(file.string('general.architecture')).toBe('llama');
    expect(file.count('llama.context_length')).toBe(128);
    expect(file.strings('tokenizer.ggml.tokens')).toEqual(['a', 'constructor', 'é']);
    const first = file.tensor('first');
    expect(first).toMatchObject({ type: 'F32', rows: 2, columns: 32, byteLength: 256 });
    const bytes = await file.readTensor(first, 128, 8);
    expect([...new Float32Array(bytes.buffer)]).toEqual([32, 33]);
    const target = new Uint8Array(12);
    expect((await file.readTensor(first, 128, 8, target)).buffer).toBe(target.buffer);
    expect([...new Float32Array(target.buffer)]).toEqual([32, 33, 0]);
    expect(await file.readTensor(first, 128, 16, target)).toHaveLength(16);
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
    expect((await failure(Buffer.from('PK\x03\x04zip'))).message).toMatch(/magic, at byte 0: not a GGUF file/);
    expect((await failure(Buffer.alloc(0))).code).toBe('model_file_invalid');
    expect((await failure(patched((bytes) => bytes.writeUInt32LE(1, 4)))).message).toMatch(
      /version, at byte 4: .* of version 1/,
    );
    expect((await failure(patched((bytes) => bytes.writeBigUInt64LE(2n ** 60n, 8)))).message).toMatch(
      /number of tensors, at byte 8: /,
    );
    expect((await failure(patched((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 24)))).message).toMatch(
      /metadata key 0, at byte 24: /,
    );
    expect((await failure(good.subarray(0, good.length - 1))).message).toMatch(
      /tensor "second", at byte \d+: .* beyond the file.s end .* download it again/,
    );
    expect((await failure(good.subarray(0, 100))).message).toMatch(/run past the end of the file \(100 bytes\)/);
  });

  test('a split model is its parts together, whichever is named', async () => {
    const part = (names: string[], count: number) =>
      Buffer.concat([
        magic(names.length, 1),
        text('split.count'),
        u32(2),
        Buffer.from([count, 0]),
        ...names.flatMap((name) => [text(name), u32(1), u64(32n), u32(0), u64(0n)]),
        Buffer.alloc(192),
      ]);
    const paths = [1, 2].map((i) => join(folder, `split-0000${i}-of-00002.gguf`));
    writeFileSync(paths[0]!, part(['a'], 2));
    await expect(openGguf(paths[0]!)).rejects.toThrow(
      /00002-of-00002\.gguf: cannot be opened.*all parts must lie in one/,
    );
    writeFileSync(paths[1]!, part(['b'], 2));
    for (const path of paths) {
      const file = await openGguf(path);
      expect([...file.tensors.keys()]).toEqual(['a', 'b']);
      expect((await file.readTensor(file.tensor('b'))).byteLength).toBe(128);
      await file.close();
    }
    writeFileSync(paths[1]!, part(['a'], 2));
    await expect(openGguf(paths[0]!)).rejects.toThrow(/tensor a is in another part too/);
    writeFileSync(paths[1]!, part(['b'], 3));
    await expect(openGguf(paths[0]!)).rejects.toThrow(/split\.count is 3, the name says 2 parts/);
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
          const [piece] = tensor.pieces;
          expect(piece!.offset + tensor.byteLength).toBeLessThanOrEqual(bytes.length);
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

  test.each([
    ['a key that occurs twice', { second: 'general.alignment' }, /the key occurs twice/],
    ['an alignment that is no power of two', { alignment: 24 }, /power of two up to 1048576, is 24/],
    ['a key of broken UTF-8', { second: Buffer.from([0xc3, 0x28]) }, /metadata key 1, at byte \d+: .* not UTF-8/],
    ['arrays nested too deep', { depth: 6 }, /nested deeper than 4/],
    ['a bool that is neither', { bool: 2 }, /a bool must be 0 or 1, found 2/],
    ['a count beyond 2^53', { big: 2n ** 60n }, /beyond 2\^53/],
  ])('refuses %s', async (_, fault: OddFault, message) => {
    expect((await failure(oddFile(fault))).message).toMatch(message);
  });

  test('refuses a huge array before it allocates it', async () => {
    const error = await failure(oddFile({ arrayLength: 2n ** 40n }));
    expect(error.message).toMatch(/1099511627776 elements cannot fit the \d+ bytes that follow/);
  });

  test.each([
    ['dimensions', { dimensions: [4n, 4n, 4n, 4n, 4n] }, /5 dimensions/],
    ['a size of zero', { dimensions: [32n, 0n] }, /dimension 1 is 0/],
    ['an overflowing product', { dimensions: [2n ** 40n, 2n ** 40n] }, /more than 2\^53 weights/],
    ['part of a block', { dimensions: [33n], type: 8 }, /rows of 33 weights are no whole Q8_0 blocks of 32/],
    ['an unknown type', { type: 77 }, /unknown tensor type 77/],
    ['an unaligned offset', { offset: 4n }, /offset 4 is no multiple of 32/],
    ['a place beyond the file', { offset: 2n ** 40n }, /beyond the file's end/],
    ['a repeated name', { names: ['a', 'a'] }, /the name occurs twice/],
  ])('refuses a tensor with %s', async (_, fault: TensorFault, message) => {
    expect((await failure(tensorFile(fault))).message).toMatch(message);
  });

  const vocabulary = testData('tokenizers/gpt-2.gguf');
  test.runIf(vocabulary)('reads a real vocabulary', async () => {
    const file = await openGguf(vocabulary!);
    expect(file.strings('tokenizer.ggml.tokens')?.length).toBe(50257);
    await file.close();
  });
});
