/** Plain float64 loops: the readable definition of every kernel's numerics, for self-tests and tests. */

type Numbers = ArrayLike<number>;

/** y = x / sqrt(mean(x²) + eps) * weight, per row of `weight.length` elements. */
export const rmsNorm = (x: Numbers, weight: Numbers, eps: number): Float64Array => {
  const dim = weight.length;
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += dim) {
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += x[start + i]! ** 2;
    const factor = 1 / Math.sqrt(squares / dim + eps);
    for (let i = 0; i < dim; i++) y[start + i] = x[start + i]! * factor * weight[i]!;
  }
  return y;
};

/** y = (x − mean) / sqrt(variance + eps) * weight + bias, per row of `weight.length` elements. */
export const layerNorm = (x: Numbers, weight: Numbers, bias: Numbers, eps: number): Float64Array => {
  const dim = weight.length;
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += dim) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += x[start + i]!;
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += (x[start + i]! - sum / dim) ** 2;
    const factor = 1 / Math.sqrt(squares / dim + eps);
    for (let i = 0; i < dim; i++) y[start + i] = (x[start + i]! - sum / dim) * factor * weight[i]! + bias[i]!;
  }
  return y;
};

/** x · Φ(x), by a series of positive terms. Source: Abramowitz & Stegun 1964, equation 7.1.6. */
export const gelu = (x: number): number => {
  const a = Math.min(Math.abs(x) / Math.SQRT2, 7);
  let term = a;
  let sum = a;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  const erf = ((2 / Math.sqrt(Math.PI)) * sum) / Math.exp(a * a);
  return (x * (1 + Math.sign(x) * erf)) / 2;
};

/** Rotates one head by the angles position / base^(2 i / rotaryDim); elements from rotaryDim on stay. */
export const rotateHead = (
  head: Numbers,
  position: number,
  rotaryDim: number,
  base: number,
  layout: 'interleaved' | 'half',
): Float64Array => {
  const y = Float64Array.from(head);
  for (let pair = 0; pair < rotaryDim / 2; pair++) {
    const angle = position / base ** ((2 * pair) / rotaryDim);
    const [a, b] = layout === 'interleaved' ? [2 * pair, 2 * pair + 1] : [pair, pair + rotaryDim / 2];
    y[a] = head[a]! * Math.cos(angle) - head[b]! * Math.sin(angle);
    y[b] = head[b]! * Math.cos(angle) + head[a]! * Math.sin(angle);
  }
  return y;
};

/** x times the orthonormal Hadamard matrix: entry (i, j) is −1 to the number of ones that i and j share, over √n. */
export const hadamard = (x: Numbers): Float64Array =>
  Float64Array.from({ length: x.length }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < x.length; j++) sum += isOddParity(i & j) ? -x[j]! : x[j]!;
    return sum / Math.sqrt(x.length);
  });

const isOddParity = (bits: number): boolean => bits > 0 && isOddParity(bits >> 1) !== (bits % 2 === 1);

/** y[r, n] = Σₖ weight[n, k] · x[r, k]. x: [numRows, columns]; weight: [rows, columns]; result: [numRows, rows]. */
export const matmul = (x: Numbers, weight: Numbers, numRows: number, rows: number, columns: number): Float64Array => {
  const y = new Float64Array(numRows * rows);
  for (let r = 0; r < numRows; r++) {
    for (let n = 0; n < rows; n++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += weight[n * columns + k]! * x[r * columns + k]!;
      y[r * rows + n] = sum;
    }
  }
  return y;
};

/** y[r] = scale · weight[ids[r]], zeros for an id beyond the vocabulary. weight: [vocabularySize, columns]. */
export const embedding = (
  weight: Numbers,
  ids: Numbers,
  vocabularySize: number,
  columns: number,
  scale = 1,
): Float64Array =>
  Float64Array.from({ length: ids.length * columns }, (_, i) => {
    const id = ids[Math.floor(i / columns)]!;
    return id < vocabularySize ? scale * weight[id * columns + (i % columns)]! : 0;
  });

/**
 * softmax(scale * q Kᵀ) V of one query head. q: [headDim]; keys, values: one [headDim] a key that is seen.
 * `softCap` bends scores by tanh; `sink` is one more logit, without a value.
 */
export const attend = (
  q: Numbers,
  keys: readonly Numbers[],
  values: readonly Numbers[],
  scale: number,
  { softCap, sink }: { readonly softCap?: number; readonly sink?: number } = {},
): Float64Array => {
  const scores = keys.map((key) => {
    let product = 0;
    for (let i = 0; i < q.length; i++) product += q[i]! * key[i]!;
    return softCap === undefined ? product * scale : softCap * Math.tanh((product * scale) / softCap);
  });
  const maximum = Math.max(...scores, sink ?? Number.NEGATIVE_INFINITY);
  const weights = scores.map((score) => Math.exp(score - maximum));
  const ofSink = sink === undefined ? 0 : Math.exp(sink - maximum);
  const sum = weights.reduce((total, weight) => total + weight, ofSink);
  const y = new Float64Array(q.length);
  for (const [key, weight] of weights.entries()) {
    for (let i = 0; i < y.length; i++) y[i]! += (weight / sum) * values[key]![i]!;
  }
  return y;
};

const ACTIVATIONS = {
  silu: (gate: number, up: number) => (gate / (1 + Math.exp(-gate))) * up,
  gelu: (gate: number, up: number) =>
    0.5 * gate * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate ** 3))) * up,
  'clamped-silu': (gate: number, up: number) => {
    const bounded = Math.min(gate, 7);
    return (bounded / (1 + Math.exp(-1.702 * bounded))) * (Math.min(7, Math.max(-7, up)) + 1);
  },
};

/** activation(gate) * up, per row of gate then up, `dim` elements each. */
export const glu = (gateUp: Numbers, dim: number, activation: keyof typeof ACTIVATIONS): Float64Array =>
  Float64Array.from({ length: gateUp.length / 2 }, (_, i) => {
    const at = Math.floor(i / dim) * 2 * dim + (i % dim);
    return ACTIVATIONS[activation](gateUp[at]!, gateUp[at + dim]!);
  });

/** The experts with the greatest logits, best first, and their part of the softmax over the chosen ones or over all. */
export const chooseExperts = (
  logits: Numbers,
  count: number,
  sharesOf: 'chosen' | 'all',
): { experts: number[]; shares: number[] } => {
  const experts = topK(logits, count);
  const maximum = logits[experts[0]!]!;
  const weigh = (ids: readonly number[]) => ids.map((id) => Math.exp(logits[id]! - maximum));
  const pool = sharesOf === 'chosen' ? experts : Array.from({ length: logits.length }, (_, id) => id);
  const sum = weigh(pool).reduce((total, weight) => total + weight, 0);
  return { experts, shares: weigh(experts).map((weight) => weight / sum) };
};

/** Where each expert's rows begin, the end, then the rows by expert. `experts`: one a row. */
export const expertRoutes = (experts: readonly number[], numExperts: number): number[] => {
  const rows = Array.from({ length: numExperts }, (_, expert) =>
    experts.flatMap((chosen, row) => (chosen === expert ? [row] : [])),
  );
  const starts = [0];
  for (const own of rows) starts.push(starts.at(-1)! + own.length);
  return [...starts, ...rows.flat()];
};

/** Ids of the k greatest logits, greatest first; of equal logits the lower id first. NaN comes last. */
export const topK = (logits: Numbers, k: number): number[] => {
  const key = (id: number) => (Number.isNaN(logits[id]) ? Number.NEGATIVE_INFINITY : logits[id]!);
  return Array.from({ length: logits.length }, (_, id) => id)
    .sort((a, b) => (key(a) === key(b) ? a - b : key(b) - key(a)))
    .slice(0, k);
};

/** log Σ exp(logit) */
export const logSumExp = (logits: Numbers): number => {
  let maximum = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) maximum = Math.max(maximum, logits[i]!);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - maximum);
  return maximum + Math.log(sum);
};

/** Σ(actual − expected)² / Σ expected²; 0 when both are empty, NaN when a value is. */
export const nmse = (actual: Numbers, expected: Numbers): number => {
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    power += expected[i]! ** 2;
  }
  return power === 0 ? error : error / power;
};
