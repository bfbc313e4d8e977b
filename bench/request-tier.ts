/** Where a request's prompt was found, by the server's own account of it. */
import type { Answer, Target } from './http-target.ts';

export type Tier = 'pool' | 'ram' | 'disk';

const MOST = 0.8;

/** Prompt tokens by tier. */
export const foundByTier = async ({ url }: Target, { requestId }: Answer): Promise<Readonly<Record<Tier, number>>> => {
  const response = await fetch(`${url}/v1/requests/${requestId}/cache`);
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  const body = (await response.json()) as { readonly tiers: Readonly<Record<Tier, number>> };
  return body.tiers;
};

/** @throws Error unless most of the cached tokens came from `tier` */
export const checkTier = async (target: Target, answer: Answer, tier: Tier): Promise<void> => {
  const found = await foundByTier(target, answer);
  if (found[tier] >= MOST * answer.cachedTokens) return;
  throw new Error(`expected ${answer.cachedTokens} tokens from ${tier}, found ${JSON.stringify(found)}`);
};
