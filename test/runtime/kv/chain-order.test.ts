import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChainOrder } from '../../../src/runtime/kv/chain-order.ts';

const EVERYTHING = true;

/** An order of blocks named by chain and number. */
const newOrder = (): ChainOrder =>
  new ChainOrder((key) => [key.replace(/\d+$/, (number) => String(Number(number) + 1))]);

const addChain = (
  order: ChainOrder,
  name: string,
  numBlocks: number,
  { numTokens = 16, weight = 1 } = {},
): string[] => {
  const keys = Array.from({ length: numBlocks }, (_, i) => `${name} ${i}`);
  for (const [i, key] of keys.entries()) order.add(key, { parent: keys[i - 1], numTokens, weight });
  return keys;
};

const evict = (order: ChainOrder): string | undefined => {
  const key = order.take(EVERYTHING);
  if (key !== undefined) order.remove(key);
  return key;
};

const evictAll = (order: ChainOrder): string[] => {
  const evicted: string[] = [];
  for (let key = evict(order); key !== undefined; key = evict(order)) evicted.push(key);
  return evicted;
};

describe('order of a tier', () => {
  test('gives up leaves before their parents', () => {
    const order = newOrder();
    const keys = addChain(order, 'a', 5);
    expect(evictAll(order)).toEqual(keys.toReversed());
  });

  test('gives up one chain after another', () => {
    const order = newOrder();
    addChain(order, 'long', 100);
    addChain(order, 'short', 5);
    expect(
      evictAll(order)
        .slice(0, 5)
        .every((key) => key.startsWith('short')),
    ).toBe(true);
  });

  test('gives up pinned blocks last, and no longer once they are unpinned', () => {
    const order = newOrder();
    order.pin('a 0', 1);
    addChain(order, 'a', 1);
    addChain(order, 'b', 50);
    expect(evictAll(order).at(-1)).toBe('a 0');
    order.pin('a 0', -1);
    addChain(order, 'b', 50);
    addChain(order, 'a', 1);
    expect(evictAll(order)[0]).toBe('a 0');
  });

  test('gives up what a dead session left before what a live one needs', () => {
    const order = newOrder();
    addChain(order, 'live', 1, { weight: 4 });
    addChain(order, 'dead', 1, { weight: 4 });
    order.weigh('dead 0', 1);
    addChain(order, 'alive again', 1);
    order.weigh('alive again 0', 4);
    expect(evictAll(order)).toEqual(['dead 0', 'live 0', 'alive again 0']);
  });

  test('gives up in the end what is dear but never used', () => {
    const order = newOrder();
    addChain(order, 'dear', 1, { numTokens: 28_000 });
    let numEvicted = 0;
    for (; numEvicted < 10_000; numEvicted++) {
      order.add(`cheap ${numEvicted}`, { parent: undefined, numTokens: 16 });
      if (evict(order) === 'dear 0') break;
    }
    expect(numEvicted).toBeGreaterThan(0);
    expect(numEvicted).toBeLessThan(10_000);
  });

  test('never gives up what is held', () => {
    const order = newOrder();
    addChain(order, 'a', 1);
    order.hold('a 0');
    expect(order.take(EVERYTHING)).toBeUndefined();
    order.release('a 0');
    expect(order.take(EVERYTHING)).toBe('a 0');
  });

  test('gives up a pinned block only when it may', () => {
    const order = newOrder();
    order.pin('a 0', 1);
    addChain(order, 'a', 1);
    expect(order.take(false)).toBeUndefined();
    expect(order.take(EVERYTHING)).toBe('a 0');
  });

  test('keeps a prefix that several chains go on from longer than what one goes on from', () => {
    const order = newOrder();
    addChain(order, 'shared', 1);
    for (const name of ['x', 'y', 'z']) order.add(name, { parent: 'shared 0', numTokens: 16 });
    addChain(order, 'single', 2);
    const evicted = evictAll(order);
    expect(evicted.at(-1)).toBe('shared 0');
  });

  test('gives up, through any operations, leaves that are not held, the unpinned ones first', () => {
    const operation = fc.record({
      kind: fc.constantFrom('add', 'use', 'remove', 'evict', 'pin', 'unpin', 'hold', 'release'),
      block: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 150 }), (operations) => {
        const parentOf = (block: number) => (block === 0 ? undefined : String(Math.floor((block - 1) / 2)));
        const order = new ChainOrder((key) => [1, 2].map((i) => String(2 * Number(key) + i)));
        const present = new Set<string>();
        const held = new Set<string>();
        const pins = new Map<string, number>();
        for (const { kind, block } of operations) {
          const key = String(block);
          if (kind === 'add') order.add(key, { parent: parentOf(block), numTokens: 16 });
          if (kind === 'add') present.add(key);
          if (kind === 'use') order.use(key);
          if (kind === 'remove') order.remove(key);
          if (kind === 'pin') order.pin(key, 1);
          if (kind === 'pin') pins.set(key, (pins.get(key) ?? 0) + 1);
          if (kind === 'unpin') order.pin(key, -1);
          if (kind === 'unpin') pins.set(key, Math.max(0, (pins.get(key) ?? 0) - 1));
          if (kind === 'hold') order.hold(key);
          if (kind === 'hold' && present.has(key)) held.add(key);
          if (kind === 'release') order.release(key);
          if (kind === 'release') held.delete(key);
          const leaves = [...present].filter(
            (name) => !held.has(name) && ![...present].some((other) => parentOf(Number(other)) === name),
          );
          if (kind === 'remove') present.delete(key);
          if (kind === 'remove') held.delete(key);
          if (kind === 'evict') {
            const victim = evict(order);
            expect(victim !== undefined).toBe(leaves.length > 0);
            if (victim === undefined) continue;
            expect(leaves).toContain(victim);
            const unpinned = leaves.filter((name) => !pins.get(name));
            if (unpinned.length > 0) expect(unpinned).toContain(victim);
            present.delete(victim);
          }
          expect(order.size).toBe(present.size);
        }
      }),
    );
  });
});
