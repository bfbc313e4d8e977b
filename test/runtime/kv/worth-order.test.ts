import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WorthOrder } from '../../../src/runtime/kv/worth-order.ts';
import { Scheduler } from '../../../src/runtime/scheduler.ts';
import { Sequence } from '../../../src/runtime/sequence.ts';

describe('WorthOrder', () => {
  test('lets the cheapest go first, of equals the one that was there first', () => {
    const order = new WorthOrder<string>();
    order.set('dear', { uses: 1, cost: 5 });
    order.set('a', { uses: 1, cost: 2 });
    order.set('b', { uses: 1, cost: 2 });
    order.set('often', { uses: 3, cost: 1 });
    expect([order.take(), order.take(), order.take(), order.take(), order.take()]).toEqual([
      'a',
      'b',
      'often',
      'dear',
      undefined,
    ]);
  });

  test('lets what was dear go too, once enough has come and gone', () => {
    const order = new WorthOrder<string>();
    order.set('dear', { uses: 4, cost: 2 });
    let numTaken = 0;
    for (; order.size > 0; numTaken++) {
      order.set(`cheap ${numTaken}`, { uses: 1, cost: 1 });
      if (order.take() === 'dear') break;
    }
    // Each of them is one of two items, so it takes two for the clock to gain what one is worth.
    expect(numTaken).toBe(14);
  });

  test('agrees with a sorted list through any operations', () => {
    const operation = fc.record({
      kind: fc.constantFrom('set', 'set', 'delete', 'take'),
      item: fc.nat(9),
      uses: fc.integer({ min: 1, max: 4 }),
      cost: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
        const order = new WorthOrder<number>();
        const list: { item: number; priority: number; turn: number }[] = [];
        let clock = 0;
        const without = (item: number) => {
          const at = list.findIndex((entry) => entry.item === item);
          return at >= 0 && list.splice(at, 1).length > 0;
        };
        for (const [turn, { kind, item, uses, cost }] of operations.entries()) {
          if (kind === 'set') {
            without(item);
            list.push({ item, priority: clock + uses * cost, turn });
            order.set(item, { uses, cost });
          } else if (kind === 'delete') expect(order.delete(item)).toBe(without(item));
          else {
            const [first] = list.toSorted((a, b) => a.priority - b.priority || a.turn - b.turn);
            expect(order.take()).toBe(first?.item);
            if (!first) continue;
            clock += Math.max(0, first.priority - clock) / list.length;
            without(first.item);
          }
          expect(order.size).toBe(list.length);
        }
      }),
    );
  });
});

/** Runs requests to their end, one after another, on a scheduler and a block pool without a device. */
class Trace {
  readonly #scheduler: Scheduler;
  #nextId = 0;

  constructor(numTokens: number) {
    const kv = { blockSize: 16, numBlocks: numTokens / 16, blockBytes: 1, groups: [{}] };
    this.#scheduler = new Scheduler(kv, { maxBatchTokens: 512, maxPrefillChunk: 512, maxRunning: 8 });
  }

  /** Answers a prompt with `numNew` tokens; returns the whole, and how many tokens had to be computed. */
  ask(prompt: readonly number[], numNew: number): { all: number[]; computed: number } {
    const sequence = new Sequence(this.#nextId++, Uint32Array.from(prompt), numNew, 'root');
    this.#scheduler.submit(sequence);
    while (sequence.status !== 'finished') {
      const plan = this.#scheduler.schedule();
      const tokens = new Map(
        plan.entries.filter((e) => e.wantsLogits).map((e) => [e.sequence, { tokenId: e.sequence.numTokens }]),
      );
      this.#scheduler.commit(plan, tokens);
      if (sequence.numGenerated === numNew) this.#scheduler.finish(sequence);
    }
    return { all: [...sequence.tokenIds], computed: sequence.report!.computed };
  }
}

describe('a main agent of 28K tokens and bursts of subagents of 6K to 7K', () => {
  const SYSTEM = Array.from({ length: 2000 }, (_, i) => i % 997);

  /** @returns tokens that each turn of the main agent computed, beyond those that are new to the conversation */
  const run = (poolTokens: number, numSubagents: number): number[] => {
    const trace = new Trace(poolTokens);
    let main = trace.ask([...SYSTEM, ...Array.from({ length: 22_000 }, (_, i) => (i * 7919) % 32_000)], 50).all;
    for (let turn = 0; turn < 3; turn++) main = trace.ask([...main, 5, 6, 7], 50).all;
    const recomputed: number[] = [];
    for (let burst = 0; burst < 4; burst++) {
      for (let agent = 0; agent < numSubagents; agent++) {
        const length = 4000 + 250 * agent;
        const task = Array.from({ length }, (_, i) => (i * 104_729 + burst * 31 + agent) % 32_000);
        let own = trace.ask([...SYSTEM, ...task], 40).all;
        own = trace.ask([...own, 8, 9], 40).all;
      }
      const added = Array.from({ length: 1000 }, (_, i) => (i * 13 + burst) % 32_000);
      const turn = trace.ask([...main, ...added], 50);
      // The last token of the turn before was sampled, not computed.
      recomputed.push(turn.computed - added.length - 1);
      main = turn.all;
    }
    return recomputed;
  };

  test('the bursts do not evict the main conversation, though both together exceed the pool', () => {
    expect(run(40_000, 5)).toEqual([0, 0, 0, 0]);
  });

  test('nor where the pool has room for little besides it', () => {
    expect(run(36_000, 5)).toEqual([0, 0, 0, 0]);
  });
});
