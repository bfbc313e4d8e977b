/** How many KV blocks a device can have, and the tensors they lie in. */
import type { GpuDevice } from '../kernels/device.ts';
import { createKvCache, type KvFormat, kvBlockBytes } from '../kernels/kv-format.ts';
import type { Tensor } from '../kernels/tensor.ts';
import { EngineError } from './errors.ts';
import { blocksPerSequence, maxSequenceTokens } from './kv/layer-groups.ts';
import { type GroupPlan, planGroups } from './kv/plan-groups.ts';
import type { KvGeometry } from './model-runner.ts';
import type { LayerCache, ModelConfig } from './models/architecture.ts';

export interface KvMemoryOptions {
  readonly blockSize: number;
  readonly kvFormat: KvFormat;
  /** Tokens a sequence may have; absent: as many as the model was trained for and the memory holds. */
  readonly contextLength?: number;
  /** Absent: a few sequences of full length, within a default. */
  readonly kvMemoryBytes?: number;
  readonly maxBatchTokens: number;
  readonly maxSequences: number;
}

export interface KvPlan {
  readonly contextLength: number;
  readonly kv: KvGeometry;
  readonly groups: GroupPlan;
}

/** The KV pool's default: this many sequences of full length, as far as this memory holds them. */
const DEFAULT_SEQUENCES = 16;
const DEFAULT_BYTES = 1024 ** 3;

/**
 * As many blocks as the memory and the adapter's binding limit allow, at least one sequence of full length.
 * @throws EngineError out_of_memory
 */
export const planKv = (device: GpuDevice, config: ModelConfig, options: KvMemoryOptions): KvPlan => {
  const { blockSize, kvFormat, maxBatchTokens: maxChunk, maxSequences } = options;
  const layerBytes = kvBlockBytes(kvFormat, { ...config, blockSize });
  const maxBlocks = Math.floor(
    Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize) / layerBytes,
  );
  const wanted = options.contextLength ?? config.contextLength;
  const windows = config.layers.map(({ window }) => window);
  const groups = planGroups(windows, { contextLength: wanted, blockSize, maxChunk, maxBlocks });
  const blockBytes = 2 * groups.layersPerGroup * layerBytes;
  const affordable = Math.floor((options.kvMemoryBytes ?? DEFAULT_BYTES) / blockBytes);
  const shape = { groups: groups.groups, blockSize };
  const contextLength =
    options.contextLength ??
    Math.max(maxSequenceTokens({ ...shape, numBlocks: affordable }, maxChunk, wanted), Math.min(blockSize, wanted));
  const perSequence = blocksPerSequence(shape, contextLength, maxChunk);
  const useful = perSequence * (options.kvMemoryBytes === undefined ? DEFAULT_SEQUENCES : maxSequences);
  const numBlocks = Math.min(Math.max(Math.min(affordable, useful), perSequence), maxBlocks);
  if (numBlocks < perSequence) {
    throw new EngineError(
      'out_of_memory',
      `a context of ${contextLength} tokens needs ${perSequence} KV blocks, the adapter can bind ${maxBlocks}. Use a smaller --context.`,
    );
  }
  return { contextLength, kv: { ...shape, numBlocks, blockBytes }, groups };
};

/**
 * One cache a layer. Layers at the same place of different groups share their tensors: a block belongs to one group.
 * @throws EngineError out_of_memory
 */
export const createCaches = async (
  device: GpuDevice,
  config: ModelConfig,
  { kv, groups }: KvPlan,
  kvFormat: KvFormat,
): Promise<LayerCache[]> => {
  const shape = { ...config, blockSize: kv.blockSize };
  const pairs: Omit<LayerCache, 'group'>[] = [];
  for (let index = 0; index < groups.layersPerGroup; index++) {
    pairs.push({
      format: kvFormat,
      k: await createKvCache(device, kvFormat, kv.numBlocks, shape, `K at place ${index}`),
      v: await createKvCache(device, kvFormat, kv.numBlocks, shape, `V at place ${index}`),
    });
  }
  return groups.places.map(({ group, index }) => ({ ...pairs[index]!, group }));
};

/** The tensors of the pool, once each, in an order that depends on the plan alone. */
export const poolTensors = (caches: readonly LayerCache[]): Tensor[] => [
  ...new Set(caches.flatMap(({ k, v }) => [k, v])),
];
