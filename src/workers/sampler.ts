/**
 * Draws a token from a row of logits, or from its best candidates when these determine the draw.
 *
 * The draw is defined over tokens in order of falling logit (ties: lower id first): temperature, then the first topK of
 * them, then the shortest prefix with a share topP of what is left, then those with at least minP of the best one's
 * probability, then the first token at which the running share exceeds a uniform number. Only a prefix matters, so the
 * candidates usually suffice; where they do not, the caller is told to fetch the whole row. Both ways give one answer.
 */
import type { SamplingParameters } from '../runtime/api.ts';
import { uniform } from './philox.ts';

/** Part of a model's fingerprint: raise it when a seed draws another token than before. */
export const SAMPLER_VERSION = 2;

/** The best tokens of a row, greatest logit first, and the log of the row's whole mass. */
export interface Candidates {
  readonly ids: ArrayLike<number>;
  readonly logits: ArrayLike<number>;
  readonly logSumExp: number;
  readonly vocabularySize: number;
}

/** Relative error allowed for a log-sum-exp that a GPU computed in F32. */
const MASS_ERROR = 1e-4;

type Distribution = Pick<SamplingParameters, 'temperature' | 'topK' | 'topP' | 'minP'>;

/** Tokens in falling order with what is known of the mass of those not listed. */
interface Ordered {
  readonly ids: ArrayLike<number>;
  readonly logits: ArrayLike<number>;
  /** Mass of the unlisted tokens at the temperature, in units of the best token's. */
  readonly restLow: number;
  readonly restHigh: number;
}

/** Draws from a whole row. `index` counts the sequence's generated tokens. */
export const sampleRow = (logits: Float32Array, sampling: Distribution, seed: number, index: number): number => {
  if (sampling.temperature === 0) return argmax(logits);
  const u = uniform(seed, index);
  for (const depth of PREFIX_DEPTHS) {
    const ordered = orderPrefix(logits, sampling.temperature, depth);
    const chosen = draw(ordered, sampling, u);
    if (chosen !== undefined) return chosen;
  }
  return argmax(logits);
};

/**
 * Draws from candidates as if the tokens that are not allowed did not exist; undefined when the candidates do not
 * determine the draw.
 */
export const sampleCandidates = (
  candidates: Candidates,
  sampling: Distribution,
  seed: number,
  index: number,
  isAllowed?: (tokenId: number) => boolean,
): number | undefined => {
  const { ids, logits } = isAllowed ? onlyAllowed(candidates, isAllowed) : candidates;
  if (sampling.temperature === 0 || ids.length === 0) return ids[0];
  const { restLow, restHigh } = unlistedMass(candidates, sampling.temperature);
  // How much of the unlisted mass is allowed is not known.
  const low = isAllowed ? 0 : restLow;
  const scale = Math.exp((candidates.logits[0]! - logits[0]!) / sampling.temperature);
  return draw({ ids, logits, restLow: low, restHigh: restHigh * scale }, sampling, uniform(seed, index));
};

const onlyAllowed = (
  { ids, logits }: Candidates,
  isAllowed: (tokenId: number) => boolean,
): { readonly ids: number[]; readonly logits: number[] } => {
  const ranks = Array.from({ length: ids.length }, (_, rank) => rank).filter((rank) => isAllowed(ids[rank]!));
  return { ids: ranks.map((rank) => ids[rank]!), logits: ranks.map((rank) => logits[rank]!) };
};

/** The greatest logit's id, the lowest of equals. */
export const argmax = (logits: ArrayLike<number>): number => {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
};

/** log Σ exp of a row. */
export const logSumExp = (logits: ArrayLike<number>): number => {
  const max = logits[argmax(logits)]!;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - max);
  return max + Math.log(sum);
};

/** The `count` best ids of a row, greatest logit first, lower id first among equals. */
export const bestTokens = (logits: ArrayLike<number>, count: number): number[] => {
  const best: number[] = [];
  const isBefore = (a: number, b: number) => logits[a]! > logits[b]! || (logits[a] === logits[b] && a < b);
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && (count === 0 || !isBefore(id, best[count - 1]!))) continue;
    let place = best.length;
    while (place > 0 && isBefore(id, best[place - 1]!)) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
};

/**
 * The draw's outcome does not decrease with the unlisted mass, so when both ends of its range agree, all of it does.
 * Undefined when they differ or when the draw falls among the unlisted tokens.
 */
const draw = (ordered: Ordered, sampling: Distribution, u: number): number | undefined => {
  const low = place(ordered, sampling, u, ordered.restLow);
  if (low === undefined) return undefined;
  if (ordered.restHigh !== ordered.restLow && place(ordered, sampling, u, ordered.restHigh) !== low) return undefined;
  return ordered.ids[low];
};

const place = (ordered: Ordered, sampling: Distribution, u: number, rest: number): number | undefined => {
  const { logits } = ordered;
  const { temperature, topK, topP, minP } = sampling;
  const listed = logits.length;
  const isCut = topK > 0 && topK <= listed;
  if (topK > listed && rest > 0) return undefined;
  const count = isCut ? topK : listed;
  const masses = new Float64Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    masses[i] = Math.exp((logits[i]! - logits[0]!) / temperature);
    total += masses[i]!;
  }
  if (!isCut) total += rest;
  const kept = keptPrefix(masses, total, topP, minP);
  if (kept) return tokenAt(masses.subarray(0, kept.length), kept.mass, u) ?? kept.length - 1;
  const cutIsUnlisted = !isCut && rest > 0 && (topP < 1 || minP > 0);
  return cutIsUnlisted ? undefined : tokenAt(masses, total, u);
};

/** The prefix that topP and minP leave, or undefined when it reaches beyond the listed tokens. */
const keptPrefix = (
  masses: Float64Array,
  total: number,
  topP: number,
  minP: number,
): { length: number; mass: number } | undefined => {
  let mass = 0;
  for (let i = 0; i < masses.length; i++) {
    if (i > 0 && masses[i]! < minP) return { length: i, mass };
    mass += masses[i]!;
    if (topP < 1 && mass >= topP * total) return { length: i + 1, mass };
  }
  return undefined;
};

/** Index of the first token at which the running mass exceeds u · total. */
const tokenAt = (masses: Float64Array, total: number, u: number): number | undefined => {
  let mass = 0;
  for (let i = 0; i < masses.length; i++) {
    mass += masses[i]!;
    if (mass > u * total) return i;
  }
  return undefined;
};

/**
 * Bounds Σ exp(l / T) over the unlisted tokens from their mass at T = 1: with a = exp(l) and q = 1 / T, the power sum
 * Σ aᵍ lies between (Σ a)ᵍ and n^(1−q) (Σ a)ᵍ (Jensen), on the one or the other side by the sign of 1 − q.
 */
const unlistedMass = ({ ids, logits, logSumExp, vocabularySize }: Candidates, temperature: number) => {
  const unlisted = vocabularySize - ids.length;
  if (unlisted <= 0) return { restLow: 0, restHigh: 0 };
  const best = logits[0]!;
  let listed = 0;
  for (let i = 0; i < logits.length; i++) listed += Math.exp(logits[i]! - best);
  const all = Math.exp(logSumExp - best);
  const low = Math.max(0, all * (1 - MASS_ERROR) - listed);
  const high = Math.max(0, all * (1 + MASS_ERROR) - listed);
  const q = 1 / temperature;
  const spread = unlisted ** (1 - q);
  const [smaller, larger] = q > 1 ? [spread, 1] : [1, spread];
  const least = Math.exp(logits[logits.length - 1]! - best);
  return {
    restLow: smaller * low ** q,
    // No unlisted token is above the last candidate.
    restHigh: Math.min(larger * high ** q, unlisted * least ** q),
  };
};

/** How far below the best logit, in units of the temperature, the sorted prefix of a whole row reaches: try little first. */
const PREFIX_DEPTHS = [8, 20, Number.POSITIVE_INFINITY];

const orderPrefix = (logits: Float32Array, temperature: number, depth: number): Ordered => {
  const best = logits[argmax(logits)]!;
  const floor = best - depth * temperature;
  const listed: number[] = [];
  let rest = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit >= floor) listed.push(id);
    else rest += Math.exp((logit - best) / temperature);
  }
  const byLogit = (a: number, b: number) => logits[b]! - logits[a]! || a - b;
  listed.sort(byLogit);
  return { ids: listed, logits: listed.map((id) => logits[id]!), restLow: rest, restHigh: rest };
};
