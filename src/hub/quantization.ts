/** The quantizations that files' names tell, and which of several to take. */

/** Best first: small enough for most machines, then closer to the original, then smaller, then unquantized. */
const PREFERRED = [
  'Q4_K_M',
  'Q4_K_S',
  'Q5_K_M',
  'Q8_0',
  'Q6_K',
  'Q4_0',
  'UD-Q4_K_XL',
  'Q4_K_L',
  'Q5_K_S',
  'Q5_0',
  'Q4_1',
  'Q5_1',
  'IQ4_NL',
  'IQ4_XS',
  'MXFP4',
  'MXFP4_MOE',
  'Q3_K_L',
  'Q3_K_M',
  'Q3_K_S',
  'Q2_K',
  'BF16',
  'F16',
  'F32',
] as const;

const SHOWN = PREFERRED.slice(0, 6).join(', ');

const LABEL =
  /(?<=^|[-._/])(?:UD-)?(?:I?Q\d_(?:K(?:_(?:XXS|XS|XL|S|M|L))?|\d(?:_\d_\d)?|XXS|XS|NL|S|M)|TQ\d_\d|MXFP4(?:_MOE)?|BF16|FP?16|FP?32)(?=[-._/]|$)/gi;

/** One spelling of a quantization's name: `q4_k_m` → `Q4_K_M`, `fp16` → `F16`. */
export const quantizationLabel = (text: string): string => text.toUpperCase().replace(/^FP(?=16|32)/, 'F');

/** The quantization in a path, the last one if there are more; undefined without. */
export const quantizationOf = (path: string): string | undefined => {
  const last = [...path.matchAll(LABEL)].at(-1)?.[0];
  return last === undefined ? undefined : quantizationLabel(last);
};

/** Lower is better; undefined for what is not chosen unasked. */
const rankOf = (quantization: string | undefined): number | undefined => {
  const rank = (PREFERRED as readonly (string | undefined)[]).indexOf(quantization);
  return rank === -1 ? undefined : rank;
};

/** The most preferred of the candidates, all of them when several are equal; empty when none is on the list. */
export const preferredOf = <Candidate extends { readonly quantization: string | undefined }>(
  candidates: readonly Candidate[],
): readonly Candidate[] => {
  const ranks = candidates.flatMap(({ quantization }) => rankOf(quantization) ?? []);
  const best = Math.min(...ranks);
  return candidates.filter(({ quantization }) => rankOf(quantization) === best);
};

/** Why one of several was taken. */
export const preferenceReason = (count: number): string => `preferred of ${count} (the order is ${SHOWN}, …)`;
