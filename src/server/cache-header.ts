/** The header that says in one line what the cache had of a prompt. */
import type { CacheReport, PerTier } from '../runtime/api.ts';

export const CACHE_HEADER = 'x-firstlight-cache';

const TIERS = ['pool', 'ram', 'disk'] as const;

/** `pool+disk`: the tiers that had something, nearest first. */
const tiersOf = (found: PerTier): string => TIERS.filter((tier) => found[tier] > 0).join('+') || 'none';

const sum = (found: PerTier): number => found.pool + found.ram + found.disk;

/** What happened. */
export const reportHeader = ({ found, computed, reason }: CacheReport): Record<string, string> => ({
  [CACHE_HEADER]: `hit=${sum(found)}; computed=${computed}; tier=${tiersOf(found)}; reason=${reason}`,
});

/** What there was when the request was accepted: by its turn there may be more, or less. */
export const lookupHeader = (found: PerTier): Record<string, string> => ({
  [CACHE_HEADER]: `lookup=${sum(found)}; tier=${tiersOf(found)}`,
});
