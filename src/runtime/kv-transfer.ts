/** Moves KV blocks between the device's pool and host memory, and within the pool. */
import type { GpuDevice } from '../kernels/device.ts';
import type { Tensor } from '../kernels/tensor.ts';
import { EngineError } from './errors.ts';
import type { BlockCopy, KvGeometry } from './model-runner.ts';

/** Moved at once: enough to hide a mapping's latency, little beside the weights. */
const STAGING_BYTES = 4 * 1024 ** 2;
/** One is written while the device reads from the other. */
const NUM_UPLOADS = 2;

/**
 * A block's payload is its part of every tensor of the pool, one after another. Neighbouring blocks move as one run, so
 * a restored prefix, whose blocks are mostly neighbours, takes few commands.
 */
export class KvTransfer {
  /** Most blocks of one `read` or `write`. */
  readonly maxBlocks: number;
  readonly #device: GpuDevice;
  readonly #tensors: readonly Tensor[];
  /** Bytes a block takes in one tensor. */
  readonly #pieceBytes: number;
  readonly #blockBytes: number;
  readonly #staging: GPUBuffer;
  /** Between the source and the target of a copy: WebGPU copies between different buffers only. */
  readonly #spare: GPUBuffer;
  /** The one to be used next first. */
  readonly #uploads: Upload[];
  #hostMs = 0;

  private constructor(device: GpuDevice, tensors: readonly Tensor[], blockBytes: number, buffers: GPUBuffer[]) {
    this.#device = device;
    this.#tensors = tensors;
    this.#blockBytes = blockBytes;
    this.#pieceBytes = blockBytes / tensors.length;
    const [staging, spare, ...uploads] = buffers as [GPUBuffer, GPUBuffer, ...GPUBuffer[]];
    [this.#staging, this.#spare] = [staging, spare];
    this.#uploads = uploads.map((buffer) => ({ buffer, mapped: mapForWriting(buffer) }));
    // Pages that are new take longer to write to than to be written to again: the first restore need not wait for them.
    for (const { mapped } of this.#uploads) mapped.then((range) => range.fill(0)).catch(() => {});
    this.maxBlocks = Math.floor(this.#staging.size / blockBytes);
  }

  /**
   * @param tensors the pool: each holds `numBlocks` parts of equal size
   * @throws EngineError out_of_memory
   */
  static async create(
    device: GpuDevice,
    tensors: readonly Tensor[],
    { blockBytes, numBlocks }: KvGeometry,
  ): Promise<KvTransfer> {
    const numStaged = Math.min(numBlocks, Math.max(1, Math.floor(STAGING_BYTES / blockBytes)));
    const { MAP_READ, MAP_WRITE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const staging = await device.createBuffer(numStaged * blockBytes, MAP_READ | COPY_DST, 'KV staging');
    const spare = await device.createBuffer(blockBytes, COPY_SRC | COPY_DST, 'KV copy');
    const uploads: GPUBuffer[] = [];
    for (let count = 0; count < NUM_UPLOADS; count++) {
      uploads.push(await device.createBuffer(numStaged * blockBytes, MAP_WRITE | COPY_SRC, 'KV upload'));
    }
    return new KvTransfer(device, tensors, blockBytes, [staging, spare, ...uploads]);
  }

  /** Milliseconds that reading and writing have taken of this thread, without the waits. */
  get hostMs(): number {
    return this.#hostMs;
  }

  /** Records copies of whole blocks, in order. */
  copy(encoder: GPUCommandEncoder, copies: readonly BlockCopy[]): void {
    const size = this.#pieceBytes;
    for (const { from, to } of copies) {
      for (const [i, { buffer }] of this.#tensors.entries()) {
        encoder.copyBufferToBuffer(buffer, from * size, this.#spare, i * size, size);
        encoder.copyBufferToBuffer(this.#spare, i * size, buffer, to * size, size);
      }
    }
  }

  /**
   * Payloads of up to `maxBlocks` blocks, as they are after everything that was submitted before. One read at a time.
   * @throws EngineError internal for too many blocks; whatever a lost device makes of a mapping
   */
  async read(blocks: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    this.#checkCount(blocks);
    if (blocks.length === 0) return [];
    const startMs = performance.now();
    const size = this.#pieceBytes;
    const encoder = this.#device.device.createCommandEncoder({ label: 'read KV' });
    const runs = runsOf(blocks);
    this.#copyRuns(runs, (to, tensor, from, length) =>
      encoder.copyBufferToBuffer(tensor, from, this.#staging, to, length),
    );
    this.#device.device.queue.submit([encoder.finish()]);
    const byteLength = blocks.length * this.#blockBytes;
    this.#hostMs += performance.now() - startMs;
    await this.#device.settled(this.#staging.mapAsync(GPUMapMode.READ, 0, byteLength));
    const mappedMs = performance.now();
    const staged = new Uint8Array(this.#staging.getMappedRange(0, byteLength));
    const payloads = blocks.map(() => new Uint8Array(this.#blockBytes));
    for (const { index, length } of runs) {
      for (let n = 0; n < length; n++) {
        for (const i of this.#tensors.keys()) {
          const from = index * this.#blockBytes + (i * length + n) * size;
          payloads[index + n]!.set(staged.subarray(from, from + size), i * size);
        }
      }
    }
    this.#staging.unmap();
    this.#hostMs += performance.now() - mappedMs;
    return payloads;
  }

  /**
   * Queues payloads into blocks, up to `maxBlocks` of them; what is submitted afterwards sees them.
   * @param isWanted asked at the moment of writing, which may be some time after the call
   * @returns false when the blocks were not wanted any more
   */
  async write(
    blocks: readonly number[],
    payloads: readonly Uint8Array[],
    isWanted: () => boolean = () => true,
  ): Promise<boolean> {
    this.#checkCount(blocks);
    // One that the device is done with; the other may still be read from.
    const upload = this.#uploads.shift()!;
    this.#uploads.push(upload);
    // Whoever comes while this one is at work gets the buffer after it, as it leaves it.
    const { mapped } = upload;
    let leave: (next: Promise<Uint8Array>) => void = () => {};
    upload.mapped = new Promise((resolve) => {
      leave = resolve;
    });
    // Who writes next finds out; nobody may.
    upload.mapped.catch(() => {});
    try {
      const staged = await this.#device.settled(mapped);
      if (isWanted()) this.#upload(upload.buffer, staged, blocks, payloads);
      else {
        leave(mapped);
        return false;
      }
    } catch (error) {
      leave(mapped);
      throw error;
    }
    leave(mapForWriting(upload.buffer));
    return true;
  }

  #upload(buffer: GPUBuffer, staged: Uint8Array, blocks: readonly number[], payloads: readonly Uint8Array[]): void {
    const { device } = this.#device;
    const startMs = performance.now();
    // A pool that gives blocks back from a chain's end hands them out again in falling order.
    const order = [...blocks.keys()].sort((a, b) => blocks[a]! - blocks[b]!);
    const runs = runsOf(order.map((n) => blocks[n]!));
    this.#stage(
      staged,
      runs,
      order.map((n) => payloads[n]!),
    );
    buffer.unmap();
    const encoder = device.createCommandEncoder({ label: 'write KV' });
    this.#copyRuns(runs, (from, tensor, to, length) => encoder.copyBufferToBuffer(buffer, from, tensor, to, length));
    device.queue.submit([encoder.finish()]);
    this.#hostMs += performance.now() - startMs;
  }

  /** Each tensor's part of a run in one piece: staged, the parts of a run's blocks lie side by side, tensor after tensor. */
  #copyRuns(
    runs: readonly Run[],
    copy: (stagedAt: number, tensor: GPUBuffer, at: number, byteLength: number) => void,
  ): void {
    const size = this.#pieceBytes;
    for (const { firstBlock, index, length } of runs) {
      for (const [i, { buffer }] of this.#tensors.entries()) {
        copy(index * this.#blockBytes + i * length * size, buffer, firstBlock * size, length * size);
      }
    }
  }

  #stage(staged: Uint8Array, runs: readonly Run[], payloads: readonly Uint8Array[]): void {
    const size = this.#pieceBytes;
    for (const { index, length } of runs) {
      for (let n = 0; n < length; n++) {
        const payload = payloads[index + n]!;
        for (const i of this.#tensors.keys()) {
          staged.set(payload.subarray(i * size, (i + 1) * size), index * this.#blockBytes + (i * length + n) * size);
        }
      }
    }
  }

  #checkCount(blocks: readonly number[]): void {
    if (blocks.length <= this.maxBlocks) return;
    throw new EngineError('internal', `${blocks.length} KV blocks to be moved at once, at most ${this.maxBlocks}`);
  }
}

/** A staging buffer for writing, and when it can be written into. */
interface Upload {
  readonly buffer: GPUBuffer;
  mapped: Promise<Uint8Array>;
}

const mapForWriting = async (buffer: GPUBuffer): Promise<Uint8Array> => {
  await buffer.mapAsync(GPUMapMode.WRITE);
  return new Uint8Array(buffer.getMappedRange());
};

interface Run {
  readonly firstBlock: number;
  /** Where it starts in the list of blocks. */
  readonly index: number;
  readonly length: number;
}

const runsOf = (blocks: readonly number[]): Run[] => {
  const runs: { firstBlock: number; index: number; length: number }[] = [];
  for (const [index, block] of blocks.entries()) {
    const last = runs.at(-1);
    if (last && block === last.firstBlock + last.length) last.length++;
    else runs.push({ firstBlock: block, index, length: 1 });
  }
  return runs;
};
