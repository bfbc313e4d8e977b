/** What sessions ask of the KV cache, answered by the block pool and the tiers below it. */
import { EngineError } from '../errors.ts';
import type { KvGeometry, ModelRunner } from '../model-runner.ts';
import type { Scheduler } from '../scheduler.ts';
import { Sequence } from '../sequence.ts';
import type { ChainBlock, ChainLocation, Eviction, KvChains } from '../sessions/kv-chains.ts';
import { type BlockKey, groupKey } from './block-key.ts';
import type { BlockTraffic, KvStore } from './block-traffic.ts';
import type { UnsavedBlock } from './kv-cache.ts';
import type { HasBlock } from './prefix-index.ts';
import { SESSION_WEIGHT } from './worth-order.ts';

export interface PagedChainsParts {
  readonly scheduler: Scheduler;
  readonly kv: KvGeometry;
  /** The parent of every first block. */
  readonly rootKey: BlockKey;
  readonly runner: () => ModelRunner | undefined;
  /** Both or neither. */
  readonly store: KvStore | undefined;
  readonly traffic: BlockTraffic | undefined;
}

/** One layer group's part of a chain's block. */
interface Link extends Omit<ChainBlock, 'bytes'> {
  readonly key: BlockKey;
}

export class PagedChains implements KvChains {
  readonly isDurable: boolean;
  readonly #parts: PagedChainsParts;
  /** Keys are computed once for each array of tokens. */
  readonly #sequences = new WeakMap<Uint32Array, Sequence>();
  readonly #pinned = new WeakMap<Uint32Array, BlockKey[][]>();

  constructor(parts: PagedChainsParts) {
    this.#parts = parts;
    this.isDurable = parts.store?.isDurable ?? false;
  }

  locate(tokenIds: Uint32Array): ChainLocation {
    const { store } = this.#parts;
    const places = {
      pool: this.#place(tokenIds, (key) => this.#blockOf(key) !== undefined),
      ram: this.#place(tokenIds, (key) => (store?.bytesIn('ram', key) ?? 0) > 0),
      disk: this.#place(tokenIds, (key) => (store?.bytesIn('disk', key) ?? 0) > 0),
    };
    const { pool, ram, disk } = places;
    return {
      tokensByTier: { pool: pool.tokens, ram: ram.tokens, disk: disk.tokens },
      bytesByTier: { pool: pool.bytes, ram: ram.bytes, disk: disk.bytes },
      savedTokens: this.#place(tokenIds, (key) => store?.isSaved(key) ?? false).tokens,
    };
  }

  pin(tokenIds: Uint32Array): void {
    const keys = this.#links(tokenIds).map(({ key }) => key);
    for (const key of keys) this.#parts.scheduler.kv.pool.pin(key);
    this.#parts.store?.pin(keys);
    this.#pinned.set(tokenIds, [...(this.#pinned.get(tokenIds) ?? []), keys]);
  }

  unpin(tokenIds: Uint32Array): void {
    const keys = this.#pinned.get(tokenIds)?.pop() ?? [];
    for (const key of keys) this.#parts.scheduler.kv.pool.unpin(key);
    this.#parts.store?.unpin(keys);
  }

  enliven(tokenIds: Uint32Array): void {
    this.#weigh(tokenIds, 0, SESSION_WEIGHT);
  }

  retire(tokenIds: Uint32Array, keepTokens: number): void {
    this.#weigh(tokenIds, keepTokens, 1);
  }

  async save(tokenIds: Uint32Array): Promise<number> {
    const { store, traffic, scheduler } = this.#parts;
    const runner = this.#parts.runner();
    if (runner && traffic) {
      scheduler.saveAgain(this.#unsaved(tokenIds));
      await traffic.saved(runner);
    }
    await store?.flush();
    return this.locate(tokenIds).savedTokens;
  }

  async evict(tokenIds: Uint32Array, { tiers, keepTokens }: Eviction): Promise<void> {
    const links = this.#links(tokenIds).filter(({ firstToken }) => firstToken >= keepTokens);
    // The end goes first, so that what others hold on to stays a whole beginning.
    const keys = links.map(({ key }) => key).reverse();
    if (tiers.includes('pool')) for (const key of keys) this.#parts.scheduler.kv.pool.drop(key);
    this.#parts.store?.delete(keys, tiers);
  }

  async exportBlocks(tokenIds: Uint32Array): Promise<readonly ChainBlock[]> {
    const exported: ChainBlock[] = [];
    const runner = this.#parts.runner();
    const perRead = runner?.maxBlocksMoved ?? 64;
    const links = this.#links(tokenIds);
    for (let start = 0; start < links.length; start += perRead) {
      const part = links.slice(start, start + perRead);
      const inPool = await this.#readPool(runner, part);
      const below = part.filter((link) => !inPool.has(link));
      const stored = (await this.#parts.store?.get(below.map(({ key }) => key))) ?? [];
      for (const link of part) {
        const bytes = inPool.get(link) ?? stored[below.indexOf(link)];
        const { firstToken, numTokens, group } = link;
        if (bytes) exported.push({ firstToken, numTokens, group, bytes });
      }
    }
    return exported;
  }

  async importBlocks(tokenIds: Uint32Array, blocks: readonly ChainBlock[]): Promise<number> {
    const { kv, store } = this.#parts;
    const sequence = this.#sequenceOf(tokenIds);
    for (const { bytes, firstToken, numTokens, group } of blocks) {
      const isBlock = firstToken % kv.blockSize === 0 && numTokens >= 1 && numTokens <= kv.blockSize;
      const fits = isBlock && firstToken + numTokens <= tokenIds.length && group < kv.groups.length;
      if (fits && bytes.byteLength === kv.blockBytes) continue;
      throw new EngineError(
        'invalid_request',
        `a block of ${numTokens} tokens from ${firstToken} on has ${bytes.byteLength} bytes; this model's blocks hold ${kv.blockSize} tokens in ${kv.blockBytes} bytes`,
      );
    }
    store?.put(
      blocks.map(({ bytes, firstToken, numTokens, group }) => {
        const index = firstToken / kv.blockSize;
        const isWhole = numTokens === kv.blockSize;
        const key = isWhole ? sequence.key(index, kv.blockSize) : sequence.tailKey(index, numTokens, kv.blockSize);
        return {
          key: groupKey(key, group),
          parent: groupKey(sequence.parentKey(index, kv.blockSize), group),
          tokenIds: tokenIds.slice(firstToken, firstToken + numTokens),
          weight: SESSION_WEIGHT,
          payload: Uint8Array.from(bytes),
        };
      }),
    );
    return this.#place(tokenIds, (key) => this.#parts.scheduler.kv.index.has(key)).tokens;
  }

  #weigh(tokenIds: Uint32Array, fromToken: number, weight: number): void {
    const links = this.#links(tokenIds).filter(({ firstToken }) => firstToken >= fromToken);
    this.#parts.store?.weigh(
      links.map(({ key }) => key),
      weight,
    );
  }

  /** What the pool alone has, as the tiers below want it. */
  #unsaved(tokenIds: Uint32Array): UnsavedBlock[] {
    const sequence = this.#sequenceOf(tokenIds);
    const { blockSize } = this.#parts.kv;
    return this.#links(tokenIds).flatMap(({ key, firstToken, numTokens, group }) => {
      const block = this.#blockOf(key);
      const parent = groupKey(sequence.parentKey(firstToken / blockSize, blockSize), group);
      const content = tokenIds.slice(firstToken, firstToken + numTokens);
      return block === undefined ? [] : [{ key, parent, tokenIds: content, weight: SESSION_WEIGHT, block }];
    });
  }

  #blockOf(key: BlockKey): number | undefined {
    return this.#parts.scheduler.kv.pool.find(key);
  }

  #sequenceOf(tokenIds: Uint32Array): Sequence {
    let sequence = this.#sequences.get(tokenIds);
    if (!sequence) {
      sequence = new Sequence(-1, tokenIds, 0, this.#parts.rootKey);
      this.#sequences.set(tokenIds, sequence);
    }
    return sequence;
  }

  /** Leading tokens whose blocks count as there, and the bytes of all blocks of the chain that do. */
  #place(tokenIds: Uint32Array, has: HasBlock): { tokens: number; bytes: number } {
    const { index } = this.#parts.scheduler.kv;
    const sequence = this.#sequenceOf(tokenIds);
    const hit = index.findWhole(sequence, has);
    const tail = index.findTail(sequence, hit, has);
    const numBlocks = this.#links(tokenIds).filter(({ key }) => has(key)).length;
    return {
      tokens: hit * this.#parts.kv.blockSize + (tail?.length ?? 0),
      bytes: numBlocks * this.#parts.kv.blockBytes,
    };
  }

  /** Every block of the chain that is somewhere, from the beginning on; the last one may be partial. */
  #links(tokenIds: Uint32Array): Link[] {
    const { kv, scheduler } = this.#parts;
    const { blockSize } = kv;
    const { index } = scheduler.kv;
    const sequence = this.#sequenceOf(tokenIds);
    const links: Link[] = [];
    const add = (key: BlockKey, firstToken: number, numTokens: number): void => {
      for (const group of kv.groups.keys()) {
        const own = groupKey(key, group);
        if (index.has(own)) links.push({ key: own, firstToken, numTokens, group });
      }
    };
    const numWhole = Math.floor(tokenIds.length / blockSize);
    for (let i = 0; i < numWhole; i++) add(sequence.key(i, blockSize), i * blockSize, blockSize);
    const last = Math.max(0, Math.ceil(tokenIds.length / blockSize) - 1);
    const tail =
      last < numWhole && index.has(sequence.key(last, blockSize)) ? undefined : index.findTail(sequence, last);
    // A block that goes on with other tokens is not this chain's.
    if (tail && tail.length === tail.tokenIds.length) add(tail.key, last * blockSize, tail.length);
    return links;
  }

  async #readPool(runner: ModelRunner | undefined, links: readonly Link[]): Promise<Map<Link, Uint8Array>> {
    if (!runner) return new Map();
    const { traffic } = this.#parts;
    let found: Link[] = [];
    const find = (): number[] => {
      found = links.filter(({ key }) => this.#blockOf(key) !== undefined);
      return found.map(({ key }) => this.#blockOf(key)!);
    };
    const payloads = traffic ? await traffic.read(runner, find) : await runner.readBlocks(find());
    return new Map(found.map((link, i) => [link, payloads[i]!]));
  }
}
