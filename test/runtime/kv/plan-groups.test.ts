import { describe, expect, test } from 'vitest';
import { blocksPerSequence } from '../../../src/runtime/kv/layer-groups.ts';
import { planGroups } from '../../../src/runtime/kv/plan-groups.ts';

const LIMITS = { contextLength: 32_768, blockSize: 16, maxChunk: 512, maxBlocks: 1_000_000 };

/** `pattern` says which layers of a period have the window. */
const layers = (count: number, window: number, isWindowed: (layer: number) => boolean) =>
  Array.from({ length: count }, (_, layer) => (isWindowed(layer) ? window : undefined));

const share = (windows: (number | undefined)[], limits = LIMITS): number => {
  const { groups, layersPerGroup } = planGroups(windows, limits);
  const whole = Math.ceil(limits.contextLength / limits.blockSize) * windows.length;
  return (blocksPerSequence({ groups, blockSize: 16 }, limits.contextLength, limits.maxChunk) * layersPerGroup) / whole;
};

describe('planGroups', () => {
  test('leaves models without windows, or with windows as wide as the context, in one group', () => {
    const one = { groups: [{}], layersPerGroup: 6 };
    expect(planGroups(new Array(6).fill(undefined), LIMITS)).toMatchObject(one);
    expect(planGroups(new Array(6).fill(32_768), LIMITS)).toMatchObject(one);
  });

  test('halves what alternating layers with a narrow window take', () => {
    const windows = layers(24, 128, (layer) => layer % 2 === 0);
    const plan = planGroups(windows, { ...LIMITS, contextLength: 131_072 });
    expect(plan).toMatchObject({ groups: [{}, { window: 128 }], layersPerGroup: 12 });
    expect(share(windows, { ...LIMITS, contextLength: 131_072 })).toBeLessThan(0.51);
  });

  test('takes a fifth where five of six layers have a window', () => {
    for (const [count, window] of [
      [26, 512],
      [34, 1024],
      [48, 1024],
      [62, 1024],
    ] as const) {
      const windows = layers(count, window, (layer) => layer % 6 !== 5);
      const limits = { ...LIMITS, contextLength: count === 26 ? 32_768 : 131_072 };
      expect(share(windows, limits)).toBeLessThan(0.25);
    }
  });

  test('keeps one group of windowed layers where all have the same', () => {
    expect(planGroups(new Array(32).fill(4096), LIMITS)).toMatchObject({
      groups: [{ window: 4096 }],
      layersPerGroup: 32,
    });
  });

  test('gives every layer a place of its own in a group of its window', () => {
    const windows = [undefined, 64, 64, 128, undefined, 64, 128, 64, 64];
    const { groups, layersPerGroup, places } = planGroups(windows, LIMITS);
    expect(new Set(places.map(({ group, index }) => `${group}.${index}`)).size).toBe(windows.length);
    for (const [layer, { group, index }] of places.entries()) {
      expect(groups[group]!.window).toBe(windows[layer]);
      expect(index).toBeLessThan(layersPerGroup);
    }
  });

  test('prefers fewer blocks where the adapter cannot bind more', () => {
    const windows = layers(24, 128, (layer) => layer % 2 === 0);
    const plan = planGroups(windows, { ...LIMITS, maxBlocks: 2048 });
    expect(plan.groups).toEqual([{}]);
  });
});
