import { expect, test } from 'vitest';
import { f16 } from '../../src/kernels/quant/f16.ts';
import { f32 } from '../../src/kernels/quant/f32.ts';
import { q4_0 } from '../../src/kernels/quant/q4-0.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import type { QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import {
  createWeightMatrix,
  destroyUploadStaging,
  destroyWeightMatrix,
  rowBytes,
  streamRowBytes,
  uploadRows,
} from '../../src/kernels/weight-matrix.ts';
import { openVariant } from '../support/gpu.ts';
import { randomRows, seededRandom } from '../support/random-weights.ts';

const streamBytes = async (
  format: QuantFormat,
  rows: number,
  columns: number,
  pieces: readonly number[],
  maxShardBytes?: number,
) => {
  const device = await openVariant({});
  const bytes = randomRows(format, rows, columns, seededRandom(7));
  const options = maxShardBytes === undefined ? {} : { maxShardBytes };
  const matrix = await createWeightMatrix(device, format, rows, columns, 'weight', options);
  let row = 0;
  for (const count of pieces) {
    const start = row * rowBytes(format, columns);
    await uploadRows(device, matrix, row, bytes.subarray(start, start + count * rowBytes(format, columns)));
    row += count;
  }
  const streams = new Map<string, Uint8Array>();
  for (const stream of format.streams) {
    const width = streamRowBytes(format, stream, columns);
    const parts: number[] = [];
    for (const shard of matrix.shards) {
      parts.push(...new Uint8Array(await device.read(shard.streams[stream.name]!.buffer, 0, width * shard.rows)));
    }
    streams.set(stream.name, Uint8Array.from(parts));
  }
  destroyWeightMatrix(device, matrix);
  return { bytes, streams, numShards: matrix.shards.length };
};

test('Q8_0 quants and scales go to their own streams, scales padded to a pair a row', async () => {
  const { bytes, streams } = await streamBytes(q8_0, 3, 96, [3]);
  for (let row = 0; row < 3; row++) {
    for (let block = 0; block < 3; block++) {
      const source = bytes.subarray((row * 3 + block) * 34, (row * 3 + block + 1) * 34);
      const quantsAt = (row * 3 + block) * 32;
      expect([...streams.get('quants')!.subarray(quantsAt, quantsAt + 32)]).toEqual([...source.subarray(2)]);
      const scaleAt = row * 8 + block * 2;
      expect([...streams.get('scales')!.subarray(scaleAt, scaleAt + 2)]).toEqual([...source.subarray(0, 2)]);
    }
    expect([...streams.get('scales')!.subarray(row * 8 + 6, row * 8 + 8)]).toEqual([0, 0]);
  }
});

test('Q4_0 words hold eight neighbours: four in the low nibbles, four in the high ones', async () => {
  const { bytes, streams } = await streamBytes(q4_0, 2, 64, [1, 1]);
  const quants = streams.get('quants')!;
  for (let i = 0; i < 128; i++) {
    const [block, place] = [i >> 5, i & 31];
    const source = bytes[block * 18 + 2 + (place & 15)]!;
    const expected = place < 16 ? source & 15 : source >> 4;
    const word = new DataView(quants.buffer).getUint32(block * 16 + (place >> 3) * 4, true);
    expect((word >> (8 * (place & 3) + (place & 4))) & 15).toBe(expected);
  }
});

test.each([f32, f16])('rows of $name are padded with zeros to whole blocks of 32', async (format) => {
  const { bytes, streams } = await streamBytes(format, 3, 37, [2, 1]);
  const stream = streams.get('weights')!;
  const width = format.blockBytes * 64;
  for (let row = 0; row < 3; row++) {
    const start = row * 37 * format.blockBytes;
    const expected = new Uint8Array(width);
    expected.set(bytes.subarray(start, start + 37 * format.blockBytes));
    expect([...stream.subarray(row * width, (row + 1) * width)]).toEqual([...expected]);
  }
});

test.each([f32, f16, q8_0, q4_0])(
  '$name rows are the same whole, in pieces, and over several shards',
  async (format) => {
    const largestRow = Math.max(...format.streams.map((stream) => streamRowBytes(format, stream, 96)));
    const whole = await streamBytes(format, 23, 96, [23]);
    const pieces = await streamBytes(format, 23, 96, [1, 7, 15]);
    const sharded = await streamBytes(format, 23, 96, [5, 18], 7 * largestRow + 15);
    expect(pieces.streams).toEqual(whole.streams);
    expect(sharded.numShards).toBeGreaterThan(1);
    expect(sharded.streams).toEqual(whole.streams);
  },
);

test('refuses a piece of a row, rows beyond the end, and rows of half a block', async () => {
  const device = await openVariant({});
  const matrix = await createWeightMatrix(device, q8_0, 4, 64, 'weight');
  await expect(uploadRows(device, matrix, 0, new Uint8Array(67))).rejects.toMatchObject({ code: 'internal' });
  await expect(uploadRows(device, matrix, 3, new Uint8Array(136))).rejects.toMatchObject({ code: 'internal' });
  await expect(createWeightMatrix(device, q8_0, 4, 48, 'weight')).rejects.toMatchObject({ code: 'model_file_invalid' });
  await expect(createWeightMatrix(device, q8_0, 4, 64, 'weight', { maxShardBytes: 32 })).rejects.toMatchObject({
    code: 'out_of_memory',
  });
  destroyWeightMatrix(device, matrix);
});

test('destroying a matrix gives all of its memory back', async () => {
  const device = await openVariant({});
  const before = device.bytes;
  const matrix = await createWeightMatrix(device, q4_0, 100, 64, 'weight', { maxShardBytes: 640 });
  expect(matrix.shards.length).toBeGreaterThan(1);
  expect(device.bytes).toBeGreaterThanOrEqual(before + 100 * 36);
  destroyWeightMatrix(device, matrix);
  expect(device.bytes).toBe(before);
});

test('megabytes arrive whole, and what uploads needed on the device is freed and made again', async () => {
  const device = await openVariant({});
  await destroyUploadStaging(device);
  const before = device.bytes;
  const [rows, columns] = [700, 3200];
  const bytes = randomRows(q8_0, rows, columns, seededRandom(9));
  expect(bytes.byteLength).toBeGreaterThan(2 ** 21);
  for (let round = 0; round < 2; round++) {
    const matrix = await createWeightMatrix(device, q8_0, rows, columns, 'weight');
    await uploadRows(device, matrix, 0, bytes);
    await destroyUploadStaging(device);
    const quants = new Uint8Array(await device.read(matrix.shards[0]!.streams.quants!.buffer));
    const expected = bytes.filter((_, at) => at % 34 >= 2);
    expect(Buffer.compare(quants.subarray(0, expected.length), expected)).toBe(0);
    destroyWeightMatrix(device, matrix);
    expect(device.bytes).toBe(before);
  }
});
