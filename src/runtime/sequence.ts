/** One timeline of tokens: what is known, what is computed, and the KV blocks it lies in. */
import type { CacheReport } from './api.ts';
import { type BlockKey, childKey } from './kv/block-key.ts';
import type { Restore } from './kv/kv-cache.ts';
import type { Pooling } from './models/pooling.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished';

/** One layer group's KV blocks: block i of the sequence is blocks[i − firstBlock]; those before it left the window. */
export interface BlockTable {
  firstBlock: number;
  readonly blocks: number[];
}

export class Sequence {
  readonly id: number;
  readonly numPromptTokens: number;
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** Set: what is wanted of it are its last states, so pooled, and no token; its blocks are of no use to others. */
  readonly pooling: Pooling | undefined;
  status: SequenceStatus = 'waiting';
  /** Tokens whose K and V are in the cache. */
  numComputed = 0;
  /** Prompt tokens found in the cache when the sequence first ran, and where; undefined before. */
  report: CacheReport | undefined;
  /** How much likelier than others its blocks are wanted again: more in a session. */
  weight = 1;
  /** How often the conversation that it continues was continued before. */
  inheritedUses = 1;
  /**
   * True: the logits after each of its tokens are wanted. Nothing of it may come from the cache, so that its root key is
   * its own, and its blocks are of no use to others.
   */
  isScored = false;
  /** True once a step had tokens of it. */
  hasBegun = false;
  /** What must be in its blocks before it can go on. */
  restoring: Restore | undefined;
  /** Blocks of others that are kept until they have been copied. */
  readonly borrowed: number[] = [];
  /** One a layer group; none unless the sequence runs. */
  readonly tables: BlockTable[] = [];
  /** Keys of the leading full blocks, as far as they were needed. */
  readonly #keys: BlockKey[] = [];
  readonly #rootKey: BlockKey;
  #tokenIds: Uint32Array;
  #numTokens: number;

  constructor(id: number, promptTokenIds: Uint32Array, maxTokens: number, rootKey: BlockKey, pooling?: Pooling) {
    this.id = id;
    this.numPromptTokens = promptTokenIds.length;
    this.maxTokens = maxTokens;
    this.pooling = pooling;
    this.#rootKey = rootKey;
    this.#tokenIds = promptTokenIds.slice();
    this.#numTokens = promptTokenIds.length;
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  /** Prompt tokens found in the cache when the sequence first ran; undefined before. */
  get cachedTokens(): number | undefined {
    return this.report && this.numPromptTokens - this.report.computed;
  }

  get numGenerated(): number {
    return this.#numTokens - this.numPromptTokens;
  }

  /** Tokens still to be fed before the next one can be sampled. */
  get numPending(): number {
    return this.#numTokens - this.numComputed;
  }

  /** A view; valid until the next `append`. */
  get tokenIds(): Uint32Array {
    return this.#tokenIds.subarray(0, this.#numTokens);
  }

  append(tokenId: number): void {
    if (this.#numTokens === this.#tokenIds.length) {
      const grown = new Uint32Array(this.#numTokens * 2 + 16);
      grown.set(this.#tokenIds);
      this.#tokenIds = grown;
    }
    this.#tokenIds[this.#numTokens++] = tokenId;
  }

  /** The key of block `index`, which must be full of known tokens. */
  key(index: number, blockSize: number): BlockKey {
    for (let next = this.#keys.length; next <= index; next++) {
      const content = this.#tokenIds.subarray(next * blockSize, (next + 1) * blockSize);
      this.#keys.push(childKey(this.#keys[next - 1] ?? this.#rootKey, content));
    }
    return this.#keys[index]!;
  }

  /** The key of what comes before block `index`. */
  parentKey(index: number, blockSize: number): BlockKey {
    return index === 0 ? this.#rootKey : this.key(index - 1, blockSize);
  }

  /** The key of the first `length` tokens of block `index`, fewer than the block has room for. */
  tailKey(index: number, length: number, blockSize: number): BlockKey {
    const parent = this.parentKey(index, blockSize);
    return childKey(parent, this.#tokenIds.subarray(index * blockSize, index * blockSize + length));
  }
}
