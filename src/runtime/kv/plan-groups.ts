/** Cuts a model's layers into groups that share KV blocks, so that one sequence of full context takes least memory. */
import type { KvGroup } from '../model-runner.ts';
import { blocksPerSequence } from './layer-groups.ts';

export interface GroupPlan {
  /** Those without a window first. */
  readonly groups: readonly KvGroup[];
  /** Most layers a group: a block has room for so many. */
  readonly layersPerGroup: number;
  /** One a layer: its group, and its place among the layers of that group. */
  readonly places: readonly { readonly group: number; readonly index: number }[];
}

/** A step's tables grow with the groups. */
const MAX_GROUPS = 8;

/**
 * All groups draw equal blocks from one pool, so a group of every kind of layer should have about as many layers.
 * Source: the hybrid KV cache of vLLM.
 * @param windows one a layer: most keys a query sees, its own included; undefined: all
 * @param maxBlocks most blocks that the pool's tensors can have
 */
export const planGroups = (
  windows: readonly (number | undefined)[],
  limits: {
    readonly contextLength: number;
    readonly blockSize: number;
    /** Most tokens a step. */
    readonly maxChunk: number;
    readonly maxBlocks: number;
  },
): GroupPlan => {
  const { contextLength, blockSize, maxChunk, maxBlocks } = limits;
  const narrow = windows.map((window) => (window !== undefined && window < contextLength ? window : undefined));
  const cost = ({ groups, layersPerGroup }: GroupPlan) =>
    blocksPerSequence({ groups, blockSize }, contextLength, maxChunk) * layersPerGroup;
  // One group of all layers is what a model without windows has, and what every other plan must beat.
  let best = planOf(windows.map(() => undefined));
  for (let size = 1; size <= windows.length; size++) {
    const plan = planOf(narrow, size);
    if (plan.groups.length > MAX_GROUPS) continue;
    if (blocksPerSequence({ groups: plan.groups, blockSize }, contextLength, maxChunk) > maxBlocks) continue;
    const isBetter = cost(plan) < cost(best) || (cost(plan) === cost(best) && plan.groups.length < best.groups.length);
    if (isBetter) best = plan;
  }
  return best;
};

/** Groups of at most `layersPerGroup` layers of equal window, as even as they can be. */
const planOf = (windows: readonly (number | undefined)[], layersPerGroup = windows.length): GroupPlan => {
  const widths = windows.map((window) => window ?? Number.POSITIVE_INFINITY);
  const groups: KvGroup[] = [];
  const places = new Array<{ group: number; index: number }>(windows.length);
  for (const width of [...new Set(widths)].sort((a, b) => b - a)) {
    const layers = [...widths.keys()].filter((layer) => widths[layer] === width);
    const firstGroup = groups.length;
    const numGroups = Math.ceil(layers.length / layersPerGroup);
    for (let count = 0; count < numGroups; count++) groups.push(Number.isFinite(width) ? { window: width } : {});
    for (const [i, layer] of layers.entries()) {
      places[layer] = { group: firstGroup + (i % numGroups), index: Math.floor(i / numGroups) };
    }
  }
  return { groups, layersPerGroup: Math.max(...places.map(({ index }) => index)) + 1, places };
};
