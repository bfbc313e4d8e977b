/** A weight matrix on the device: rows sharded below the binding limit, GGUF blocks repacked into aligned streams. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { QuantFormat, WeightStream } from './quant/quant-format.ts';
import { createTensor, type Tensor } from './tensor.ts';

export interface WeightShard {
  readonly rowStart: number;
  readonly rows: number;
  /** By the stream's name, as the format's WGSL file binds it. */
  readonly streams: Readonly<Record<string, Tensor>>;
}

/** rows: outputs N; columns: inputs K. Lives until `destroyWeightMatrix`. */
export interface WeightMatrix {
  readonly format: QuantFormat;
  readonly rows: number;
  readonly columns: number;
  readonly shards: readonly WeightShard[];
  readonly label: string;
}

export interface WeightMatrixOptions {
  /** Largest stream of a shard in bytes; never above the device's binding limit, which is the default. */
  readonly maxShardBytes?: number;
}

const STAGING_BYTES = 16 * 2 ** 20;
/** Dawn stages writes without back-pressure, so wait for the device this often. */
const MAX_BYTES_IN_FLIGHT = 64 * 2 ** 20;
const REPACK_WORKGROUP_SIZE = 64;

/** Bytes of one row in a stream. */
export const streamRowBytes = (format: QuantFormat, stream: WeightStream, columns: number): number => {
  const bytes = (columns / format.blockLength) * stream.bytesPerBlock;
  return Math.ceil(bytes / stream.rowAlignment) * stream.rowAlignment;
};

/** Bytes of one row in the GGUF file. */
export const rowBytes = (format: QuantFormat, columns: number): number =>
  (columns / format.blockLength) * format.blockBytes;

/**
 * Allocates a zeroed matrix; `uploadRows` fills it.
 * @throws EngineError model_file_invalid when a row is no whole number of blocks; out_of_memory
 */
export const createWeightMatrix = async (
  device: GpuDevice,
  format: QuantFormat,
  rows: number,
  columns: number,
  label: string,
  options: WeightMatrixOptions = {},
): Promise<WeightMatrix> => {
  if (columns % format.blockLength !== 0) {
    throw new EngineError(
      'model_file_invalid',
      `${label}: rows of ${columns} weights are no whole number of ${format.name} blocks of ${format.blockLength}`,
    );
  }
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize, options.maxShardBytes ?? Number.POSITIVE_INFINITY);
  const largestRow = Math.max(...format.streams.map((stream) => streamRowBytes(format, stream, columns)));
  // Buffers are rounded up to 16 bytes.
  const maxRows = Math.floor((limit - 15) / largestRow);
  if (maxRows < 1) {
    throw new EngineError('out_of_memory', `${label}: a row has ${largestRow} bytes, a binding at most ${limit}`);
  }
  const shards: WeightShard[] = [];
  for (let rowStart = 0; rowStart < rows; rowStart += maxRows) {
    const shardRows = Math.min(maxRows, rows - rowStart);
    const streams: Record<string, Tensor> = {};
    for (const stream of format.streams) {
      const words = (streamRowBytes(format, stream, columns) / 4) * shardRows;
      streams[stream.name] = await createTensor(device, 'u32', [words], `${label}.${stream.name}`);
    }
    shards.push({ rowStart, rows: shardRows, streams });
  }
  return { format, rows, columns, shards, label };
};

/**
 * Repacks whole rows of GGUF blocks into rows `rowStart` … of the matrix. Several tensors are joined by rows by uploading
 * them at different starts. Resolves when the bytes may be reused; the device may still be at work.
 * @throws EngineError internal when `bytes` are no whole rows or do not fit
 */
export const uploadRows = async (
  device: GpuDevice,
  matrix: WeightMatrix,
  rowStart: number,
  bytes: Uint8Array,
): Promise<void> => {
  const bytesPerRow = rowBytes(matrix.format, matrix.columns);
  const numRows = bytes.byteLength / bytesPerRow;
  if (!Number.isInteger(numRows) || rowStart < 0 || rowStart + numRows > matrix.rows) {
    throw new EngineError(
      'internal',
      `${matrix.label}: ${bytes.byteLength} bytes at row ${rowStart} do not fit ${matrix.rows} rows of ${bytesPerRow} bytes`,
    );
  }
  const write = await rowWriter(device, matrix);
  const rowsPerChunk = Math.floor(STAGING_BYTES / bytesPerRow);
  if (rowsPerChunk < 1) {
    throw new EngineError(
      'model_file_invalid',
      `${matrix.label}: a row has ${bytesPerRow} bytes, allowed ${STAGING_BYTES}`,
    );
  }
  for (const shard of matrix.shards) {
    const end = Math.min(rowStart + numRows, shard.rowStart + shard.rows);
    for (let row = Math.max(rowStart, shard.rowStart); row < end; row += rowsPerChunk) {
      const count = Math.min(rowsPerChunk, end - row);
      const byteStart = (row - rowStart) * bytesPerRow;
      write(shard, row - shard.rowStart, bytes.subarray(byteStart, byteStart + count * bytesPerRow));
      await throttle(device, count * bytesPerRow);
    }
  }
};

/** Puts whole GGUF rows, no more than the staging buffer holds, at a shard's row. */
type RowWriter = (shard: WeightShard, firstRow: number, bytes: Uint8Array) => void;

const rowWriter = async (device: GpuDevice, matrix: WeightMatrix): Promise<RowWriter> => {
  const bytesPerRow = rowBytes(matrix.format, matrix.columns);
  const onlyStream = streamOfWholeRows(matrix);
  if (onlyStream) {
    return (shard, firstRow, bytes) =>
      writeBytes(device, shard.streams[onlyStream.name]!.buffer, firstRow * bytesPerRow, bytes);
  }
  const staging = await stagingOf(device);
  const kernels = await Promise.all(matrix.format.streams.map((stream) => repackKernel(device, matrix.format, stream)));
  return (shard, firstRow, bytes) => {
    writeBytes(device, staging.buffer, 0, bytes);
    repack(device, matrix, shard, kernels, staging, firstRow, bytes.byteLength / bytesPerRow);
  };
};

/** Frees the matrix's memory at once; no submitted work may still need it. */
export const destroyWeightMatrix = (device: GpuDevice, matrix: WeightMatrix): void => {
  for (const shard of matrix.shards) {
    for (const tensor of Object.values(shard.streams)) device.destroyBuffer(tensor.buffer);
  }
};

/** The stream that keeps rows just as the file does, if there is one: F32 and F16 rows that need no padding. */
const streamOfWholeRows = ({ format, columns }: WeightMatrix): WeightStream | undefined =>
  format.streams.find(
    (stream) =>
      stream.bytesPerBlock === format.blockBytes &&
      stream.nibbleDistance === undefined &&
      streamRowBytes(format, stream, columns) === rowBytes(format, columns),
  );

/** Parts and rows of whole vectors, whose nibbles, if any, are paired over one vector or two. */
const hasVectors = ({ bytesPerBlock, rowAlignment, nibbleDistance = 16 }: WeightStream): boolean =>
  bytesPerBlock % 16 === 0 && rowAlignment % 16 === 0 && (nibbleDistance === 16 || nibbleDistance === 32);

/** Two neighbouring vectors share what they load: parts, and so rows, of whole pairs. */
const vectorsPerInvocation = ({ bytesPerBlock, rowAlignment }: WeightStream): number =>
  bytesPerBlock % 32 === 0 && (rowAlignment === 16 || rowAlignment % 32 === 0) ? 2 : 1;

const repackKernel = (device: GpuDevice, format: QuantFormat, stream: WeightStream): Promise<Kernel> =>
  Kernel.compile(device, hasVectors(stream) ? 'repack-vectors' : 'repack', {
    constants: {
      ...(hasVectors(stream) ? { VECTORS_PER_INVOCATION: vectorsPerInvocation(stream) } : {}),
      BLOCK_BYTES: format.blockBytes,
      PART_OFFSET: stream.byteOffset,
      BYTES_PER_BLOCK: stream.bytesPerBlock,
      HAS_NIBBLES: stream.nibbleDistance !== undefined,
      NIBBLE_DISTANCE: stream.nibbleDistance ?? 1,
    },
  });

const repack = (
  device: GpuDevice,
  matrix: WeightMatrix,
  shard: WeightShard,
  kernels: readonly Kernel[],
  staging: Tensor,
  firstRow: number,
  numRows: number,
): void => {
  const encoder = device.device.createCommandEncoder({ label: 'repack' });
  const pass = encoder.beginComputePass();
  matrix.format.streams.forEach((stream, i) => {
    const unitsPerRow = streamRowBytes(matrix.format, stream, matrix.columns) / (hasVectors(stream) ? 16 : 4);
    const perInvocation = hasVectors(stream) ? vectorsPerInvocation(stream) : 1;
    const [perRow, first] = hasVectors(stream) ? ['vectorsPerRow', 'firstVector'] : ['wordsPerRow', 'firstWord'];
    kernels[i]!.bind({ source: staging, stream: shard.streams[stream.name]! }).dispatch(
      pass,
      {
        numRows,
        blocksPerRow: matrix.columns / matrix.format.blockLength,
        [perRow!]: unitsPerRow,
        [first!]: firstRow * unitsPerRow,
      },
      linearGrid(Math.ceil((numRows * unitsPerRow) / perInvocation / REPACK_WORKGROUP_SIZE)),
    );
  });
  pass.end();
  device.device.queue.submit([encoder.finish()]);
};

const stagingTensors = new WeakMap<GpuDevice, Promise<Tensor>>();

/**
 * One staging buffer a device, reused by every upload: writes and repacks are ordered by the queue. Two vectors longer than
 * what is written, since the kernels read words and vectors at any byte.
 */
const stagingOf = (device: GpuDevice): Promise<Tensor> => {
  let staging = stagingTensors.get(device);
  if (!staging) {
    staging = createTensor(device, 'u32', [STAGING_BYTES / 4 + 8], 'upload staging');
    stagingTensors.set(device, staging);
  }
  return staging;
};

/** Frees the staging buffer of uploads that were submitted; a later upload makes a new one. */
export const destroyUploadStaging = async (device: GpuDevice): Promise<void> => {
  const staging = stagingTensors.get(device);
  stagingTensors.delete(device);
  if (staging) device.destroyBuffer((await staging).buffer);
};

/** Dawn stages larger writes in buffers of their own, whose fresh memory costs more than the copies. */
const WRITE_BYTES = 2 ** 20;

/** `writeBuffer` takes whole words, rows may end within one. */
const writeBytes = (device: GpuDevice, buffer: GPUBuffer, byteOffset: number, bytes: Uint8Array): void => {
  const whole = bytes.byteLength & ~3;
  const { queue } = device.device;
  for (let start = 0; start < whole; start += WRITE_BYTES) {
    const length = Math.min(WRITE_BYTES, whole - start);
    queue.writeBuffer(buffer, byteOffset + start, bytes.buffer, bytes.byteOffset + start, length);
  }
  if (whole === bytes.byteLength) return;
  const tail = new Uint8Array(4);
  tail.set(bytes.subarray(whole));
  queue.writeBuffer(buffer, byteOffset + whole, tail);
};

const bytesInFlight = new WeakMap<GpuDevice, number>();

const throttle = async (device: GpuDevice, byteLength: number): Promise<void> => {
  const total = (bytesInFlight.get(device) ?? 0) + byteLength;
  bytesInFlight.set(device, total < MAX_BYTES_IN_FLIGHT ? total : 0);
  if (total >= MAX_BYTES_IN_FLIGHT) await device.settled(device.device.queue.onSubmittedWorkDone());
};
