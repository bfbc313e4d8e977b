import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { childKey, rootKey } from '../../../src/runtime/kv/block-key.ts';
import { BlockPool } from '../../../src/runtime/kv/block-pool.ts';

const takeAll = (pool: BlockPool): number[] => {
  const blocks: number[] = [];
  for (let block = pool.allocate(); block !== undefined; block = pool.allocate()) blocks.push(block);
  return blocks;
};

describe('block pool', () => {
  test('gives each block once and then none', () => {
    const blocks = takeAll(new BlockPool(7));
    expect(blocks.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('keeps a published block findable after its last reference is gone', () => {
    const pool = new BlockPool(2);
    const block = pool.allocate()!;
    pool.publish(block, 'a');
    pool.release(block);
    expect(pool.find('a')).toBe(block);
    expect([pool.numFree, pool.numCached, pool.numUsed]).toEqual([1, 1, 0]);
  });

  test('evicts the least recently used block first', () => {
    const pool = new BlockPool(3);
    const blocks = takeAll(pool);
    for (const block of blocks) pool.publish(block, `key ${block}`);
    for (const block of blocks) pool.release(block);
    pool.retain(blocks[0]!);
    pool.release(blocks[0]!);
    expect([pool.allocate(), pool.allocate(), pool.allocate()]).toEqual([blocks[1], blocks[2], blocks[0]]);
    expect(blocks.map((block) => pool.find(`key ${block}`))).toEqual([undefined, undefined, undefined]);
  });

  test('takes free blocks before it evicts', () => {
    const pool = new BlockPool(2);
    const [first, second] = [pool.allocate()!, pool.allocate()!];
    pool.publish(first, 'a');
    pool.release(first);
    pool.release(second);
    expect(pool.allocate()).toBe(second);
    expect(pool.find('a')).toBe(first);
  });

  test('keeps the first of two blocks with the same content', () => {
    const pool = new BlockPool(2);
    const [first, second] = [pool.allocate()!, pool.allocate()!];
    pool.publish(first, 'a');
    pool.publish(second, 'a');
    pool.release(second);
    expect(pool.find('a')).toBe(first);
    expect(pool.numFree).toBe(1);
  });

  test('refuses to release a block more often than it was taken', () => {
    const pool = new BlockPool(1);
    const block = pool.allocate()!;
    pool.release(block);
    expect(() => pool.release(block)).toThrow(/more often/);
  });

  test('accounts for every block through any operations', () => {
    const operation = fc.record({
      kind: fc.constantFrom('allocate', 'share', 'release', 'publish'),
      pick: fc.nat(1000),
      key: fc.integer({ min: 0, max: 12 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(operation, { maxLength: 120 }), (numBlocks, operations) => {
        const pool = new BlockPool(numBlocks);
        /** One entry a reference. */
        const held: number[] = [];
        for (const { kind, pick, key } of operations) {
          if (kind === 'allocate') {
            const expected = new Set(held).size < numBlocks;
            const block = pool.allocate();
            expect(block !== undefined).toBe(expected);
            if (block !== undefined) {
              expect(held).not.toContain(block);
              held.push(block);
            }
          } else if (kind === 'share') {
            const block = pool.find(`${key}`);
            if (block !== undefined) {
              pool.retain(block);
              held.push(block);
            }
          } else if (held.length > 0) {
            const index = pick % held.length;
            if (kind === 'publish') pool.publish(held[index]!, `${key}`);
            else pool.release(held.splice(index, 1)[0]!);
          }
          expect(pool.numUsed).toBe(new Set(held).size);
          expect(pool.numFree + pool.numCached + pool.numUsed).toBe(numBlocks);
          expect(pool.numFree).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('block key', () => {
  const ids = (...tokens: number[]) => Uint32Array.from(tokens);

  test('depends on the model, the KV format, the parent and each token', () => {
    const keys = [
      childKey(rootKey('m', 'f16'), ids(1, 2)),
      childKey(rootKey('m', 'f32'), ids(1, 2)),
      childKey(rootKey('n', 'f16'), ids(1, 2)),
      childKey(rootKey('m', 'f16'), ids(2, 1)),
      childKey(childKey(rootKey('m', 'f16'), ids(1, 2)), ids(1, 2)),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('is the same for equal content, wherever it lies in memory', () => {
    const view = Uint32Array.of(9, 9, 1, 2).subarray(2);
    expect(childKey('p', view)).toBe(childKey('p', ids(1, 2)));
  });
});
