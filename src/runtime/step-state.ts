/** The one buffer that tells the kernels what this step works on; written once a step. */
import type { GpuDevice } from '../kernels/device.ts';
import type { Tensor } from '../kernels/tensor.ts';
import type { Batch } from './model-runner.ts';

export interface StepCapacity {
  readonly maxTokens: number;
  readonly maxSequences: number;
  /** Most rows of logits a step. */
  readonly maxRows: number;
  readonly maxBlocksPerSequence: number;
  /** Query rows of one prefill attention tile. */
  readonly tileRows: number;
}

/** Sizes of a packed step: what the dispatches' grids are made of. */
export interface StepShape {
  readonly numTokens: number;
  /** Sequences with one query token; they are the batch's first rows. */
  readonly numDecode: number;
  /** Longest context among those. */
  readonly maxDecodeContext: number;
  readonly numTiles: number;
  readonly numRows: number;
}

// Any adapter can bind a storage buffer at a multiple of 256 bytes.
const SECTION_WORDS = 64;

export class StepState {
  readonly tokenIds: Tensor;
  readonly positions: Tensor;
  readonly slots: Tensor;
  readonly contextLengths: Tensor;
  readonly blockTableStarts: Tensor;
  /** [maxRows] batch tokens whose logits are wanted. */
  readonly logitTokens: Tensor;
  /** [maxTiles, 4] sequence, first batch row, row count, position of the first row. */
  readonly tiles: Tensor;
  readonly blockTables: Tensor;
  readonly #device: GpuDevice;
  readonly #buffer: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #tileRows: number;

  private constructor(device: GpuDevice, buffer: GPUBuffer, capacity: StepCapacity) {
    let start = 0;
    const section = (...shape: number[]): Tensor => {
      const length = shape.reduce((product, size) => product * size, 1);
      const byteOffset = start * 4;
      start += Math.ceil(length / SECTION_WORDS) * SECTION_WORDS;
      return { buffer, byteOffset, byteLength: Math.ceil(length / 4) * 16, shape, type: 'u32' };
    };
    const { maxTokens, maxSequences, maxRows, maxBlocksPerSequence, tileRows } = capacity;
    this.tokenIds = section(maxTokens);
    this.positions = section(maxTokens);
    this.slots = section(maxTokens);
    this.contextLengths = section(maxSequences);
    this.blockTableStarts = section(maxSequences);
    this.logitTokens = section(maxRows);
    this.tiles = section(maxTileCount(capacity), 4);
    this.blockTables = section(maxSequences * maxBlocksPerSequence);
    this.#device = device;
    this.#buffer = buffer;
    this.#words = new Uint32Array(start);
    this.#tileRows = tileRows;
  }

  /** @throws EngineError out_of_memory */
  static async create(device: GpuDevice, capacity: StepCapacity): Promise<StepState> {
    const { maxTokens, maxSequences, maxRows, maxBlocksPerSequence } = capacity;
    const words =
      3 * maxTokens + 2 * maxSequences + maxRows + 4 * maxTileCount(capacity) + maxSequences * maxBlocksPerSequence;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = await device.createBuffer((words + 8 * SECTION_WORDS) * 4, usage, 'step state');
    return new StepState(device, buffer, capacity);
  }

  /** Packs the batch and queues its upload; what the GPU works on before is not disturbed. */
  upload(batch: Batch): StepShape {
    const words = this.#words;
    const { numTokens, numSequences, queryStarts } = batch;
    words.set(batch.tokenIds.subarray(0, numTokens), wordOf(this.tokenIds));
    words.set(batch.positions.subarray(0, numTokens), wordOf(this.positions));
    words.set(batch.slots.subarray(0, numTokens), wordOf(this.slots));
    words.set(batch.contextLengths.subarray(0, numSequences), wordOf(this.contextLengths));
    words.set(batch.logitTokens, wordOf(this.logitTokens));
    let tableEnd = 0;
    let numDecode = 0;
    let maxDecodeContext = 0;
    let numTiles = 0;
    for (let sequence = 0; sequence < numSequences; sequence++) {
      const table = batch.blockTables[sequence]!;
      words[wordOf(this.blockTableStarts) + sequence] = tableEnd;
      words.set(table, wordOf(this.blockTables) + tableEnd);
      tableEnd += table.length;
      const first = queryStarts[sequence]!;
      const end = queryStarts[sequence + 1]!;
      if (end - first === 1 && numDecode === sequence) {
        numDecode++;
        maxDecodeContext = Math.max(maxDecodeContext, batch.contextLengths[sequence]!);
        continue;
      }
      for (let row = first; row < end; row += this.#tileRows) {
        const tile = [sequence, row, Math.min(this.#tileRows, end - row), batch.positions[row]!];
        words.set(tile, wordOf(this.tiles) + 4 * numTiles);
        numTiles++;
      }
    }
    this.#device.device.queue.writeBuffer(this.#buffer, 0, words, 0, wordOf(this.blockTables) + tableEnd);
    return { numTokens, numDecode, maxDecodeContext, numTiles, numRows: batch.logitTokens.length };
  }
}

const wordOf = (section: Tensor): number => section.byteOffset / 4;

const maxTileCount = ({ maxTokens, maxSequences, tileRows }: StepCapacity): number =>
  Math.ceil(maxTokens / tileRows) + maxSequences;
