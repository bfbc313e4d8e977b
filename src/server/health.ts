/** Whether a load balancer should send requests here. */
import type { Engine } from '../runtime/api.ts';

/** Above this share of the KV pool in use new requests are likely to preempt running ones. */
const DEGRADED_KV_SHARE = 0.9;

export interface Health {
  readonly status: 'ok' | 'degraded' | 'draining';
  readonly model: string;
  readonly adapter: string;
  readonly requests: { readonly running: number; readonly waiting: number };
  readonly kvBlocks: { readonly total: number; readonly used: number; readonly cached: number };
}

export const readHealth = (engine: Engine, isDraining: boolean): Health => {
  const stats = engine.stats();
  const isFull = stats.kvBlocksUsed > stats.kvBlocksTotal * DEGRADED_KV_SHARE;
  return {
    status: isDraining ? 'draining' : isFull ? 'degraded' : 'ok',
    model: engine.model.id,
    adapter: engine.adapter,
    requests: { running: stats.running, waiting: stats.waiting },
    kvBlocks: { total: stats.kvBlocksTotal, used: stats.kvBlocksUsed, cached: stats.kvBlocksCached },
  };
};
