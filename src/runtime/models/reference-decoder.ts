/**
 * The decoder's forward pass as plain float64 loops on the CPU: what a device's logits are held against. It reads one tensor
 * at a time and keeps no weights, so that any model's fits; it takes seconds per billion weights.
 */
import { attend, chooseExperts, glu, rmsNorm } from '../../kernels/reference.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile } from '../weights/model-file.ts';
import { WeightRows } from '../weights/weight-rows.ts';
import type { DecoderConfig, RopeScheme } from './decoder-config.ts';

/** One vector a token. */
type Rows = Float64Array[];

/**
 * Logits of every position of one sequence, [ids.length · vocabularySize]. `servedContext` is what the model is served with:
 * some rotate by it.
 * @throws EngineError model_file_invalid, model_unsupported
 */
export const referenceLogits = async (
  config: DecoderConfig,
  file: ModelFile,
  ids: readonly number[],
  servedContext: number,
): Promise<Float64Array> => new ReferenceDecoder(config, file, servedContext).logits(ids);

/** What the output matrix would be multiplied by, [hiddenSize] of every position: embeddings are made of it. @throws as above */
export const referenceStates = (
  config: DecoderConfig,
  file: ModelFile,
  ids: readonly number[],
  servedContext: number,
): Promise<Float64Array[]> => new ReferenceDecoder(config, file, servedContext).states(ids);

class ReferenceDecoder {
  readonly #config: DecoderConfig;
  readonly #weights: WeightRows;
  readonly #servedContext: number;

  constructor(config: DecoderConfig, file: ModelFile, servedContext: number) {
    this.#config = config;
    this.#weights = new WeightRows(file);
    this.#servedContext = servedContext;
  }

  async states(ids: readonly number[]): Promise<Rows> {
    const { numLayers, embeddingScale = 1 } = this.#config;
    let x: Rows = [];
    for (const id of ids) {
      const row = await this.#weights.rows('token_embd.weight', id, 1);
      x.push(Float64Array.from(row, (value) => value * embeddingScale));
    }
    for (let layer = 0; layer < numLayers; layer++) {
      const name = (part: string) => `blk.${layer}.${part}.weight`;
      // Files whose feed-forward norm goes by the name of a post norm have no post norms.
      const hasOwnNorm = this.#weights.has(name('ffn_norm'));
      const attended = await this.#attention(layer, await this.#norm(name('attn_norm'), x));
      x = add(x, hasOwnNorm ? await this.#norm(name('post_attention_norm'), attended) : attended);
      const normed = await this.#norm(name(hasOwnNorm ? 'ffn_norm' : 'post_attention_norm'), x);
      const fed = this.#weights.has(name('ffn_gate_inp'))
        ? await this.#experts(layer, normed)
        : await this.#dense(layer, normed);
      x = add(x, await this.#norm(name('post_ffw_norm'), fed));
    }
    return this.#norm('output_norm.weight', x);
  }

  async logits(ids: readonly number[]): Promise<Float64Array> {
    const { vocabularySize, logitSoftCap: cap } = this.#config;
    const last = await this.states(ids);
    const head = this.#weights.has('output.weight') ? 'output.weight' : 'token_embd.weight';
    const logits = await this.#weights.product(head, last);
    const bent = cap === undefined ? logits : logits.map((row) => row.map((value) => cap * Math.tanh(value / cap)));
    const all = new Float64Array(ids.length * vocabularySize);
    for (const [token, row] of bent.entries()) all.set(row, token * vocabularySize);
    return all;
  }

  /** As they are where the file has no such norm. */
  async #norm(name: string, x: Rows): Promise<Rows> {
    if (!this.#weights.has(name)) return x;
    const weight = await this.#weights.all(name);
    return x.map((row) => rmsNorm(row, weight, this.#config.rmsNormEpsilon));
  }

  async #attention(layer: number, x: Rows): Promise<Rows> {
    const { numHeads, numKvHeads, headDim, attentionScale, attentionSoftCap, layers } = this.#config;
    const { rope, window = Number.POSITIVE_INFINITY } = layers[layer]!;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const [q, k, v] = await this.#projections(name, x);
    const queries = await this.#prepareHeads(name('attn_q_norm'), q, numHeads, rope);
    const keys = await this.#prepareHeads(name('attn_k_norm'), k, numKvHeads, rope);
    const values = v.map((row) => headsOf(row, headDim));
    const sinks = this.#weights.has(name('attn_sinks')) ? await this.#weights.all(name('attn_sinks')) : undefined;
    const attended = queries.map((heads, position) => {
      const first = Math.max(0, position + 1 - window);
      const y = new Float64Array(numHeads * headDim);
      for (const [head, query] of heads.entries()) {
        const kvHead = Math.floor((head * numKvHeads) / numHeads);
        const seen = (all: Rows[]) => all.slice(first, position + 1).map((ofToken) => ofToken[kvHead]!);
        const bent = {
          ...(attentionSoftCap === undefined ? {} : { softCap: attentionSoftCap }),
          ...(sinks ? { sink: sinks[head]! } : {}),
        };
        y.set(attend(query, seen(keys), seen(values), attentionScale, bent), head * headDim);
      }
      return y;
    });
    return this.#weights.product(name('attn_output'), attended);
  }

  async #projections(name: (part: string) => string, x: Rows): Promise<[Rows, Rows, Rows]> {
    const { numHeads, numKvHeads, headDim } = this.#config;
    if (!this.#weights.has(name('attn_qkv'))) {
      return [
        await this.#weights.product(name('attn_q'), x),
        await this.#weights.product(name('attn_k'), x),
        await this.#weights.product(name('attn_v'), x),
      ];
    }
    const [keysAt, valuesAt] = [numHeads * headDim, (numHeads + numKvHeads) * headDim];
    const whole = await this.#weights.product(name('attn_qkv'), x);
    const part = (start: number, end?: number) => whole.map((row) => row.slice(start, end));
    return [part(0, keysAt), part(keysAt, valuesAt), part(valuesAt)];
  }

  /** By token and head, normalised and rotated. */
  async #prepareHeads(normName: string, x: Rows, numHeads: number, rope: RopeScheme | undefined): Promise<Rows[]> {
    const { headDim, rmsNormEpsilon } = this.#config;
    const weight = this.#weights.has(normName) ? await this.#weights.all(normName) : undefined;
    const factors = rope && (await this.#factors(rope));
    return x.map((row, position) =>
      headsOf(row.subarray(0, numHeads * headDim), headDim).map((head) => {
        const normed = weight ? rmsNorm(head, weight, rmsNormEpsilon) : head;
        return rope ? rotate(normed, position, rope, factors) : normed;
      }),
    );
  }

  async #factors({ frequencyFactors: factors }: RopeScheme): Promise<ArrayLike<number> | undefined> {
    if (factors === undefined || factors instanceof Float64Array) return factors;
    if (typeof factors === 'string') return this.#weights.all(factors);
    return this.#weights.all(this.#servedContext > factors.originalContext ? factors.long : factors.short);
  }

  async #dense(layer: number, x: Rows): Promise<Rows> {
    const { feedForwardSize, activation } = this.#config;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const up = await this.#weights.product(name('ffn_up'), x);
    const gateUp = this.#weights.has(name('ffn_gate'))
      ? join(await this.#weights.product(name('ffn_gate'), x), up)
      : up;
    const gated = gateUp.map((row) => glu(row, feedForwardSize, activation));
    return this.#weights.product(name('ffn_down'), gated);
  }

  async #experts(layer: number, x: Rows): Promise<Rows> {
    const { activation, hiddenSize, experts } = this.#config;
    if (!experts) throw new EngineError('internal', `layer ${layer} has a router, the configuration no experts`);
    const { expertsPerToken, feedForwardSize: width, sharesOf } = experts;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const logits = await this.#weights.product(name('ffn_gate_inp'), x);
    const chosen = logits.map((row) => chooseExperts(row, expertsPerToken, sharesOf));
    const fed = x.map(() => new Float64Array(hiddenSize));
    // By expert, so that each one's weights are decoded once for all its tokens.
    for (const expert of new Set(chosen.flatMap(({ experts: ids }) => [...ids]))) {
      const tokens = [...x.keys()].filter((token) => chosen[token]!.experts.includes(expert));
      const rows = tokens.map((token) => x[token]!);
      const gate = await this.#weights.product(name('ffn_gate_exps'), rows, expert * width, width);
      const up = await this.#weights.product(name('ffn_up_exps'), rows, expert * width, width);
      const gated = join(gate, up).map((both) => glu(both, width, activation));
      const down = await this.#weights.product(name('ffn_down_exps'), gated, expert * hiddenSize, hiddenSize);
      for (const [row, token] of tokens.entries()) {
        const { experts: ids, shares } = chosen[token]!;
        const share = shares[ids.indexOf(expert)]!;
        for (let i = 0; i < hiddenSize; i++) fed[token]![i]! += share * down[row]![i]!;
      }
    }
    return fed;
  }
}

const add = (x: Rows, delta: Rows): Rows => x.map((row, token) => row.map((value, i) => value + delta[token]![i]!));

const join = (left: Rows, right: Rows): Rows => left.map((row, token) => Float64Array.from([...row, ...right[token]!]));

const headsOf = (row: Float64Array, headDim: number): Rows =>
  Array.from({ length: row.length / headDim }, (_, head) => row.slice(head * headDim, (head + 1) * headDim));

const rotate = (
  head: Float64Array,
  position: number,
  { base, rotaryDim, layout, magnitude = 1 }: RopeScheme,
  factors: ArrayLike<number> | undefined,
): Float64Array => {
  const y = Float64Array.from(head);
  for (let pair = 0; pair < rotaryDim / 2; pair++) {
    const angle = position / base ** ((2 * pair) / rotaryDim) / (factors?.[pair] ?? 1);
    const [a, b] = layout === 'interleaved' ? [2 * pair, 2 * pair + 1] : [pair, pair + rotaryDim / 2];
    const [cos, sin] = [magnitude * Math.cos(angle), magnitude * Math.sin(angle)];
    y[a] = head[a]! * cos - head[b]! * sin;
    y[b] = head[b]! * cos + head[a]! * sin;
  }
  return y;
};
