/** One layer's K or V in host memory, byte for byte as kernels must write and read it. */
import { isQuantized, KV_GROUP_LENGTH, type KvBlockShape, type KvFormat, kvPage } from '../kv-format.ts';
import { floatToHalf, halfToFloat } from '../quant/quant-format.ts';

export interface HostKvShape extends KvBlockShape {
  readonly numBlocks: number;
  readonly format: KvFormat;
}

/** Every slot is NaN until it is written. */
export class HostKvCache {
  readonly shape: HostKvShape;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #word = new DataView(new ArrayBuffer(4));
  readonly #page: ReturnType<typeof kvPage>;

  constructor(shape: HostKvShape, bytes?: Uint8Array<ArrayBuffer>) {
    this.#page = kvPage(shape.format, shape);
    const numBytes = shape.numBlocks * shape.numKvHeads * this.#page.PAGE_WORDS * 4;
    this.shape = shape;
    this.bytes = bytes ?? new Uint8Array(numBytes).fill(0xff);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, numBytes);
  }

  /** Puts a head's columns of one token where `slot` = block · blockSize + offset says. Returns what is kept of them. */
  write(slot: number, head: number, columns: Float64Array): Float64Array {
    const { format } = this.shape;
    for (let first = 0; first < columns.length; first += KV_GROUP_LENGTH) {
      const group = columns.subarray(first, first + KV_GROUP_LENGTH);
      if (isQuantized(format)) this.#writeGroup(slot, head, first, group);
      else for (const [i, value] of group.entries()) this.#setFloat(this.#columnAt(slot, head, first + i), value);
    }
    return this.read(slot, head);
  }

  /** A head's columns of one token. */
  read(slot: number, head: number): Float64Array {
    return Float64Array.from({ length: this.shape.headDim }, (_, column) => {
      const at = this.#columnAt(slot, head, column);
      switch (this.shape.format) {
        case 'f32':
          return this.#view.getFloat32(at, true);
        case 'f16':
          return halfToFloat(this.#view.getUint16(at, true));
        case 'q8':
          return this.#scale(slot, head, column) * this.#view.getInt8(at);
        case 'q4':
          return this.#scale(slot, head, column) * (((this.#view.getUint8(at) >> (column & 4)) & 15) - 8);
      }
    });
  }

  /** All slots' columns, head by head. */
  readAll(): Float64Array {
    const { numBlocks, blockSize, numKvHeads, headDim } = this.shape;
    const all = new Float64Array(numBlocks * blockSize * numKvHeads * headDim);
    for (let slot = 0; slot < numBlocks * blockSize; slot++) {
      for (let head = 0; head < numKvHeads; head++)
        all.set(this.read(slot, head), (slot * numKvHeads + head) * headDim);
    }
    return all;
  }

  /** The column of the greatest magnitude becomes the lowest level. */
  #writeGroup(slot: number, head: number, first: number, columns: Float64Array): void {
    const lowest = this.shape.format === 'q8' ? -128 : -8;
    const extreme = columns.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    this.#setScale(slot, head, first, extreme / lowest);
    const scale = this.#scale(slot, head, first);
    for (const [i, value] of columns.entries()) {
      const level = scale === 0 ? 0 : Math.max(lowest, Math.min(-1 - lowest, Math.round(value / scale)));
      const at = this.#columnAt(slot, head, first + i);
      if (lowest === -128) this.#view.setInt8(at, level);
      else {
        const shift = i & 4;
        this.#view.setUint8(at, (this.#view.getUint8(at) & ~(15 << shift)) | ((level + 8) << shift));
      }
    }
  }

  #setFloat(at: number, value: number): void {
    if (this.shape.format === 'f32') this.#view.setFloat32(at, value, true);
    else this.#view.setUint16(at, floatToHalf(value), true);
  }

  /** The nearest BF16: the upper half of an F32. */
  #setScale(slot: number, head: number, column: number, value: number): void {
    const at = this.#scaleAt(slot, head, column);
    this.#word.setFloat32(0, value);
    this.#view.setUint16(at, (this.#word.getUint32(0) + 0x8000) >>> 16, true);
  }

  #scale(slot: number, head: number, column: number): number {
    this.#word.setUint32(0, this.#view.getUint16(this.#scaleAt(slot, head, column), true) << 16);
    return this.#word.getFloat32(0);
  }

  /** The byte at which a column begins, or the byte that it shares. */
  #columnAt(slot: number, head: number, column: number): number {
    const { format, blockSize, headDim } = this.shape;
    const element = (slot % blockSize) * headDim + column;
    const page = this.#pageAt(slot, head);
    // A word has columns 0 to 3 in its low nibbles, 4 to 7 in its high ones.
    if (format === 'q4') return page + Math.floor(element / 8) * 4 + (element % 4);
    return page + (element * this.#page.KV_BITS) / 8;
  }

  #scaleAt(slot: number, head: number, column: number): number {
    const { blockSize } = this.shape;
    const { COLUMN_WORDS, KV_GROUPS } = this.#page;
    const index = (slot % blockSize) * KV_GROUPS + Math.floor(column / KV_GROUP_LENGTH);
    return this.#pageAt(slot, head) + COLUMN_WORDS * 4 + index * 2;
  }

  #pageAt(slot: number, head: number): number {
    const { blockSize, numKvHeads } = this.shape;
    return (Math.floor(slot / blockSize) * numKvHeads + head) * this.#page.PAGE_WORDS * 4;
  }
}
