/** What `/metrics` says, in Prometheus' text format. Load comes from the engine at scrape time; latencies are measured here. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Engine, EngineStats, GenerationEvent, KvTierStats } from '../runtime/api.ts';
import type { ResponseStore } from './responses/response-store.ts';

const TTFT_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const INTER_TOKEN_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const SPEED_BUCKETS_TOKENS_PER_SECOND = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

type StatsField = readonly [name: string, help: string, read: (stats: EngineStats) => number];

const GAUGES: readonly StatsField[] = [
  ['firstlight_requests_running', 'Sequences that get tokens at each step', (stats) => stats.running],
  ['firstlight_requests_waiting', 'Sequences that wait for a place in the batch', (stats) => stats.waiting],
  ['firstlight_kv_blocks_total', 'Blocks of the KV pool', (stats) => stats.kvBlocksTotal],
  ['firstlight_kv_blocks_used', 'Blocks that unfinished sequences reference', (stats) => stats.kvBlocksUsed],
  ['firstlight_kv_blocks_cached', 'Free blocks kept for prefix reuse', (stats) => stats.kvBlocksCached],
  ['firstlight_gpu_bytes', 'Bytes held on the device', (stats) => stats.gpuBytes],
];

const COUNTERS: readonly StatsField[] = [
  ['firstlight_prompt_tokens_total', 'Prompt tokens, cached ones included', (stats) => stats.promptTokens],
  ['firstlight_cached_tokens_total', 'Prompt tokens whose KV came from the cache', (stats) => stats.cachedTokens],
  ['firstlight_completion_tokens_total', 'Tokens generated', (stats) => stats.completionTokens],
  ['firstlight_preemptions_total', 'Sequences that lost their blocks to others', (stats) => stats.preemptions],
  ['firstlight_steps_total', 'Steps of the engine', (stats) => stats.steps],
  ['firstlight_kv_blocks_saved_total', 'Blocks read for the tiers below the pool', (stats) => stats.kvBlocksSaved],
  ['firstlight_kv_blocks_restored_total', 'Blocks brought back into the pool', (stats) => stats.kvBlocksRestored],
  [
    'firstlight_kv_traffic_seconds_total',
    "What saving and restoring took of the engine's loop",
    (stats) => stats.kvTrafficMs / 1000,
  ],
  [
    'firstlight_session_failures_total',
    'Sessions that could not be read, written or removed on disk',
    (stats) => stats.sessionFailures,
  ],
  ['firstlight_device_losses_total', 'Times the device was lost and rebuilt', (stats) => stats.deviceLosses],
];

type TierField = readonly [name: string, help: string, read: (tier: KvTierStats) => number];

const TIER_GAUGES: readonly TierField[] = [
  ['firstlight_kv_tier_bytes', 'Bytes of KV kept below the pool', (tier) => tier.bytes],
  ['firstlight_kv_tier_max_bytes', 'Most bytes that the tier may keep', (tier) => tier.maxBytes],
  ['firstlight_kv_tier_blocks', 'Blocks kept below the pool', (tier) => tier.blocks],
];

const TIER_COUNTERS: readonly TierField[] = [
  ['firstlight_kv_tier_hits_total', 'Blocks asked for and given', (tier) => tier.hits],
  [
    'firstlight_kv_tier_misses_total',
    'Blocks that were gone or damaged when they were asked for',
    (tier) => tier.misses,
  ],
  ['firstlight_kv_tier_evicted_total', 'Blocks that made room for others', (tier) => tier.evictedBlocks],
  ['firstlight_kv_tier_corrupt_total', 'Blocks that were not what was written', (tier) => tier.corruptBlocks],
  ['firstlight_kv_tier_dropped_total', 'Blocks not written for want of room', (tier) => tier.droppedBlocks],
  ['firstlight_kv_tier_failed_total', 'Blocks not written since writing failed', (tier) => tier.failedBlocks],
  ['firstlight_kv_tier_thread_deaths_total', "Times the thread of the tier's files died", (tier) => tier.threadDeaths],
];

/** Follows one request's events. */
export interface GenerationTimer {
  event(choice: number, event: GenerationEvent): void;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #sockets: Gauge;
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #timeToFirstToken: Histogram;
  readonly #interTokenLatency: Histogram;
  readonly #generationSpeed: Histogram;

  constructor(engine: Engine, stored: Pick<ResponseStore, 'stats'>) {
    const registers = [this.#registry];
    for (const [name, help, read] of GAUGES) {
      new Gauge({ name, help, registers, collect: gaugeReader(() => read(engine.stats())) });
    }
    for (const [name, help, read] of COUNTERS) {
      new Counter({ name, help, registers, collect: counterReader(() => read(engine.stats())) });
    }
    const labelNames = ['tier'] as const;
    for (const [name, help, read] of TIER_GAUGES) {
      const collect = tierReader(engine, read);
      new Gauge({ name, help, labelNames, registers, collect });
    }
    for (const [name, help, read] of TIER_COUNTERS) {
      const collect = tierReader(engine, read);
      new Counter({ name, help, labelNames, registers, collect });
    }
    new Gauge({
      name: 'firstlight_stored_responses',
      help: 'Responses that can be looked at and continued',
      registers,
      collect: gaugeReader(() => stored.stats().responses),
    });
    new Gauge({
      name: 'firstlight_stored_response_bytes',
      help: 'Bytes of stored responses',
      registers,
      collect: gaugeReader(() => stored.stats().bytes),
    });
    new Counter({
      name: 'firstlight_stored_response_failures_total',
      help: 'Responses that were to be stored and could not be',
      registers,
      collect: counterReader(() => stored.stats().failures),
    });
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory size in bytes',
      registers,
      collect: gaugeReader(() => process.memoryUsage.rss()),
    });
    this.#sockets = new Gauge({ name: 'firstlight_websockets_open', help: 'WebSockets that are open', registers });
    this.#requests = new Counter({
      name: 'firstlight_http_requests_total',
      help: 'Answers sent, by route and status; 499: the client left first; method WS: a request on a WebSocket',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#timeToFirstToken = new Histogram({
      name: 'firstlight_time_to_first_token_seconds',
      help: 'From the arrival of the request to its first token',
      buckets: TTFT_BUCKETS_SECONDS,
      registers,
    });
    this.#interTokenLatency = new Histogram({
      name: 'firstlight_inter_token_latency_seconds',
      help: 'From one piece of an answer to the next',
      buckets: INTER_TOKEN_BUCKETS_SECONDS,
      registers,
    });
    this.#generationSpeed = new Histogram({
      name: 'firstlight_generation_tokens_per_second',
      help: 'Tokens a second of each finished answer, from its first token on',
      buckets: SPEED_BUCKETS_TOKENS_PER_SECOND,
      registers,
    });
  }

  countRequest(route: string, method: string, status: number): void {
    this.#requests.inc({ route, method, status: String(status) });
  }

  socketOpened(): void {
    this.#sockets.inc();
  }

  socketClosed(): void {
    this.#sockets.dec();
  }

  /** @param arrivedMs `performance.now()` at the request's arrival */
  timeGeneration(arrivedMs: number): GenerationTimer {
    const firstMs: number[] = [];
    const lastMs: number[] = [];
    return {
      event: (choice, event) => {
        if (event.type === 'start') return;
        const nowMs = performance.now();
        const first = firstMs[choice];
        if (event.type === 'finish') {
          const numAfterFirst = event.usage.completionTokens - 1;
          if (first === undefined || numAfterFirst < 1) return;
          this.#generationSpeed.observe(numAfterFirst / Math.max((nowMs - first) / 1000, Number.EPSILON));
        } else if (first === undefined) {
          firstMs[choice] = nowMs;
          this.#timeToFirstToken.observe((nowMs - arrivedMs) / 1000);
        } else {
          this.#interTokenLatency.observe((nowMs - (lastMs[choice] ?? first)) / 1000);
        }
        lastMs[choice] = nowMs;
      },
    };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

const gaugeReader = (read: () => number) =>
  function collect(this: Gauge): void {
    this.set(read());
  };

/** The engine counts; a Prometheus counter can only be told what to add. */
const counterReader = (read: () => number) =>
  function collect(this: Counter): void {
    this.reset();
    this.inc(read());
  };

const tierReader = (engine: Engine, read: (tier: KvTierStats) => number) =>
  function collect(this: Gauge<'tier'> | Counter<'tier'>): void {
    this.reset();
    for (const tier of engine.stats().kvTiers) this.inc({ tier: tier.tier }, read(tier));
  };
