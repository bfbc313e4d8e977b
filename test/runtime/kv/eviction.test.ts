import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EvictionOrder, keepScore } from '../../../src/runtime/kv/eviction.ts';

const fresh = { lastUse: 0, numUses: 0, depthTokens: 16, numChildren: 0, isSessionAlive: false };

const addChain = (order: EvictionOrder, name: string, numBlocks: number, numTokens = 16): string[] => {
  const keys = Array.from({ length: numBlocks }, (_, i) => `${name} ${i}`);
  for (const [i, key] of keys.entries()) order.add(key, keys[i - 1], numTokens);
  return keys;
};

const evictAll = (order: EvictionOrder): string[] => {
  const evicted: string[] = [];
  for (let key = order.victim(); key !== undefined; key = order.victim()) {
    order.evict(key);
    evicted.push(key);
  }
  return evicted;
};

describe('worth of keeping a block', () => {
  test.each([
    ['used later', { lastUse: 1 }],
    ['used more often', { numUses: 1 }],
    ['deeper in its sequence', { depthTokens: 28_000 }],
    ['of several continuations', { numChildren: 3 }],
    ['of a live session', { isSessionAlive: true }],
  ])('is higher for a block that is %s', (_, change) => {
    expect(keepScore({ ...fresh, ...change })).toBeGreaterThan(keepScore(fresh));
  });
});

describe('eviction order', () => {
  test('gives up leaves before their parents', () => {
    const order = new EvictionOrder();
    const keys = addChain(order, 'a', 5);
    expect(evictAll(order)).toEqual(keys.toReversed());
  });

  test('gives up one chain after another', () => {
    const order = new EvictionOrder();
    addChain(order, 'long', 100);
    addChain(order, 'short', 5);
    expect(
      evictAll(order)
        .slice(0, 5)
        .every((key) => key.startsWith('short')),
    ).toBe(true);
  });

  test('gives up pinned blocks last, and no longer once they are unpinned', () => {
    const order = new EvictionOrder();
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
    const order = new EvictionOrder();
    order.belong('live 0', 1);
    addChain(order, 'live', 1);
    addChain(order, 'dead', 1);
    expect(evictAll(order)).toEqual(['dead 0', 'live 0']);
  });

  test('gives up in the end what is dear but never used', () => {
    const order = new EvictionOrder();
    addChain(order, 'dear', 1, 28_000);
    let numEvicted = 0;
    for (; numEvicted < 10_000; numEvicted++) {
      order.add(`cheap ${numEvicted}`, undefined, 16);
      const key = order.victim()!;
      order.evict(key);
      if (key === 'dear 0') break;
    }
    expect(numEvicted).toBeGreaterThan(0);
    expect(numEvicted).toBeLessThan(10_000);
  });

  test('never gives up what is held', () => {
    const order = new EvictionOrder();
    addChain(order, 'a', 1);
    order.hold('a 0');
    expect(order.victim()).toBeUndefined();
    order.release('a 0');
    expect(order.victim()).toBe('a 0');
  });

  test('is, through any operations, that of the lowest score among unpinned leaves', () => {
    const operation = fc.record({
      kind: fc.constantFrom('add', 'use', 'remove', 'evict', 'pin', 'unpin', 'hold', 'release'),
      block: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 150 }), (operations) => {
        const order = new EvictionOrder();
        const parentOf = (block: number) => (block === 0 ? undefined : String(Math.floor((block - 1) / 2)));
        const present = new Set<string>();
        const held = new Set<string>();
        const pins = new Map<string, number>();
        for (const { kind, block } of operations) {
          const key = String(block);
          if (kind === 'add') order.add(key, parentOf(block), 16);
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
          const gone = kind === 'evict' ? order.victim() : kind === 'remove' ? key : undefined;
          if (kind === 'evict' && gone !== undefined) order.evict(gone);
          if (gone !== undefined) present.delete(gone);
          if (gone !== undefined) held.delete(gone);
          const leaves = [...present].filter(
            (name) => !held.has(name) && ![...present].some((other) => parentOf(Number(other)) === name),
          );
          const victim = order.victim();
          expect(victim !== undefined).toBe(leaves.length > 0);
          if (victim !== undefined) expect(leaves).toContain(victim);
          const unpinned = leaves.filter((name) => !pins.get(name));
          if (victim !== undefined && unpinned.length > 0) expect(unpinned).toContain(victim);
          expect(order.size).toBe(present.size);
        }
      }),
    );
  });
});
