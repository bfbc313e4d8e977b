/** The one buffer that tells the kernels what this step works on; written once a step. */
import type { GpuDevice } from '../kernels/device.ts';
import type { Tensor } from '../kernels/tensor.ts';
import { maxBlocks } from './kv/layer-groups.ts';
import type { Batch, KvGeometry } from './model-runner.ts';

export interface StepCapacity {
  readonly maxTokens: number;
  readonly maxSequences: number;
  /** Most rows of logits a step. */
  readonly maxRows: number;
  readonly contextLength: number;
  readonly kv: Pick<KvGeometry, 'groups' | 'blockSize'>;
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
  /** Runs of rows whose final states are summed. */
  readonly numSegments: number;
}

/** Where one layer group's K and V of a step lie. */
interface GroupState {
  /** [maxTokens] */
  readonly slots: Tensor;
  /** [maxSequences] where block 0 of each sequence would stand in `blockTables`, modulo 2³². */
  readonly blockTableStarts: Tensor;
}

// Any adapter can bind a storage buffer at a multiple of 256 bytes.
const SECTION_WORDS = 64;

export class StepState {
  readonly tokenIds: Tensor;
  readonly positions: Tensor;
  readonly contextLengths: Tensor;
  /** One for each of the geometry's groups. */
  readonly groups: readonly GroupState[];
  /** [maxRows] batch tokens whose logits are wanted. */
  readonly logitTokens: Tensor;
  /** [maxSequences, 2] first batch token and number of them. */
  readonly segments: Tensor;
  /** [maxTiles, 4] sequence, first batch row, row count, position of the first row. */
  readonly tiles: Tensor;
  /** Of all groups. */
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
    const { maxTokens, maxSequences, maxRows, tileRows } = capacity;
    this.tokenIds = section(maxTokens);
    this.positions = section(maxTokens);
    this.contextLengths = section(maxSequences);
    this.groups = capacity.kv.groups.map(() => ({
      slots: section(maxTokens),
      blockTableStarts: section(maxSequences),
    }));
    this.logitTokens = section(maxRows);
    this.segments = section(maxSequences, 2);
    this.tiles = section(maxTileCount(capacity), 4);
    this.blockTables = section(maxTableWords(capacity));
    this.#device = device;
    this.#buffer = buffer;
    this.#words = new Uint32Array(start);
    this.#tileRows = tileRows;
  }

  /** @throws EngineError out_of_memory */
  static async create(device: GpuDevice, capacity: StepCapacity): Promise<StepState> {
    const { maxTokens, maxSequences, maxRows, kv } = capacity;
    const perStep = 2 * maxTokens + 3 * maxSequences + maxRows + 4 * maxTileCount(capacity) + maxTableWords(capacity);
    const words = perStep + kv.groups.length * (maxTokens + maxSequences);
    const numSections = 7 + 2 * kv.groups.length;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = await device.createBuffer((words + numSections * SECTION_WORDS) * 4, usage, 'step state');
    return new StepState(device, buffer, capacity);
  }

  /** Packs the batch and queues its upload; what the GPU works on before is not disturbed. */
  upload(batch: Batch): StepShape {
    const words = this.#words;
    const { numTokens, numSequences, queryStarts } = batch;
    words.set(batch.tokenIds.subarray(0, numTokens), wordOf(this.tokenIds));
    words.set(batch.positions.subarray(0, numTokens), wordOf(this.positions));
    words.set(batch.contextLengths.subarray(0, numSequences), wordOf(this.contextLengths));
    words.set(batch.logitTokens, wordOf(this.logitTokens));
    if (batch.segments) words.set(batch.segments, wordOf(this.segments));
    const tableEnd = this.#packTables(batch);
    let numDecode = 0;
    let maxDecodeContext = 0;
    let numTiles = 0;
    for (let sequence = 0; sequence < numSequences; sequence++) {
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
    const numSegments = (batch.segments?.length ?? 0) / 2;
    return { numTokens, numDecode, maxDecodeContext, numTiles, numRows: batch.logitTokens.length, numSegments };
  }

  /** Packs slots and tables of every group; returns the words of all tables. */
  #packTables(batch: Batch): number {
    const words = this.#words;
    let tableEnd = 0;
    for (const [group, { slots, blockTables, firstBlocks }] of batch.groups.entries()) {
      const state = this.groups[group]!;
      words.set(slots.subarray(0, batch.numTokens), wordOf(state.slots));
      for (const [sequence, table] of blockTables.entries()) {
        // Only live blocks are there. An unsigned start may wrap: adding a live block's index brings it back.
        words[wordOf(state.blockTableStarts) + sequence] = tableEnd - firstBlocks[sequence]!;
        words.set(table, wordOf(this.blockTables) + tableEnd);
        tableEnd += table.length;
      }
    }
    return tableEnd;
  }
}

const wordOf = (section: Tensor): number => section.byteOffset / 4;

const maxTileCount = ({ maxTokens, maxSequences, tileRows }: StepCapacity): number =>
  Math.ceil(maxTokens / tileRows) + maxSequences;

/** With a window, a sequence in prefill holds its chunk's blocks too; the chunks of a step share its tokens. */
const maxTableWords = ({ maxTokens, maxSequences, contextLength, kv }: StepCapacity): number =>
  kv.groups.reduce((sum, group) => {
    const decoding = maxBlocks(group, contextLength, 1, kv.blockSize) + 1;
    const whole = Math.ceil(contextLength / kv.blockSize);
    return sum + Math.min(maxSequences * whole, maxSequences * decoding + Math.ceil(maxTokens / kv.blockSize));
  }, 0);
