/** Which chains are kept before others, and until when. No timer: whoever uses pins sweeps out the old ones first. */
import type { KvChains } from './kv-chains.ts';

interface Pin {
  readonly tokenIds: Uint32Array;
  /** Unix milliseconds; Infinity: until it is taken back. */
  readonly until: number;
}

export class Pins {
  readonly #chains: Pick<KvChains, 'pin' | 'unpin'>;
  readonly #byHolder = new Map<object, Pin>();

  constructor(chains: Pick<KvChains, 'pin' | 'unpin'>) {
    this.#chains = chains;
  }

  /** 0: the holder has none. */
  until(holder: object): number {
    return this.#byHolder.get(holder)?.until ?? 0;
  }

  /** Gives the holder this pin in place of the one it had. */
  set(holder: object, tokenIds: Uint32Array, until: number): void {
    const earlier = this.#byHolder.get(holder);
    this.#chains.pin(tokenIds);
    // The new pin first: what both name is never without one.
    if (earlier) this.#chains.unpin(earlier.tokenIds);
    this.#byHolder.set(holder, { tokenIds, until });
  }

  drop(holder: object): void {
    const pin = this.#byHolder.get(holder);
    if (!pin) return;
    this.#byHolder.delete(holder);
    this.#chains.unpin(pin.tokenIds);
  }

  sweep(now: number): void {
    for (const [holder, { until }] of this.#byHolder) if (until <= now) this.drop(holder);
  }
}
