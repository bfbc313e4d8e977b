/** The encoder's forward pass as plain float64 loops on the CPU: what a device's embeddings are held against. */
import { attend, gelu, glu, layerNorm, rotateHead } from '../../kernels/reference.ts';
import type { ModelFile } from '../weights/model-file.ts';
import { WeightRows } from '../weights/weight-rows.ts';
import type { EncoderConfig } from './encoder.ts';
import { pooledRows } from './pooling.ts';

/** One vector a token. */
type Rows = Float64Array[];

/**
 * The embedding of one text, [hiddenSize], of length 1.
 * @throws EngineError model_file_invalid, model_unsupported
 */
export const referenceEmbedding = async (
  config: EncoderConfig,
  file: ModelFile,
  ids: readonly number[],
): Promise<Float64Array> => {
  const rows = await new ReferenceEncoder(config, file).run(ids);
  const [first, count] = pooledRows(config.pooling, ids.length);
  const sum = new Float64Array(config.hiddenSize);
  for (const row of rows.slice(first, first + count)) for (const [i, value] of row.entries()) sum[i]! += value;
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
};

class ReferenceEncoder {
  readonly #config: EncoderConfig;
  readonly #weights: WeightRows;

  constructor(config: EncoderConfig, file: ModelFile) {
    this.#config = config;
    this.#weights = new WeightRows(file);
  }

  async run(ids: readonly number[]): Promise<Rows> {
    const { numLayers, hiddenSize, numTokenTypes, rope } = this.#config;
    const zeros = new Float32Array(hiddenSize);
    const type = numTokenTypes > 0 ? await this.#weights.rows('token_types.weight', 0, 1) : zeros;
    const tokens: Rows = [];
    for (const [position, id] of ids.entries()) {
      const token = await this.#weights.rows('token_embd.weight', id, 1);
      const place = rope ? zeros : await this.#weights.rows('position_embd.weight', position, 1);
      tokens.push(Float64Array.from(token, (value, i) => value + type[i]! + place[i]!));
    }
    let x = await this.#norm('token_embd_norm', tokens);
    for (let layer = 0; layer < numLayers; layer++) {
      const block = `blk.${layer}`;
      x = await this.#norm(`${block}.attn_output_norm`, add(x, await this.#attention(block, x)));
      x = await this.#norm(`${block}.layer_output_norm`, add(x, await this.#feedForward(block, x)));
    }
    return x;
  }

  async #norm(name: string, x: Rows): Promise<Rows> {
    const weight = await this.#weights.all(`${name}.weight`);
    const bias = await this.#weights.all(`${name}.bias`);
    return x.map((row) => layerNorm(row, weight, bias, this.#config.layerNormEpsilon));
  }

  async #attention(block: string, x: Rows): Promise<Rows> {
    const { numHeads, headDim, hiddenSize, rope } = this.#config;
    const name = (part: string) => `${block}.${part}.weight`;
    const isFused = this.#weights.has(name('attn_qkv'));
    const fused = isFused ? await this.#weights.product(name('attn_qkv'), x) : [];
    const project = async (part: string, index: number): Promise<Rows> =>
      isFused
        ? fused.map((row) => row.slice(index * hiddenSize, (index + 1) * hiddenSize))
        : this.#weights.product(name(part), x);
    const head = (rows: Rows, token: number, index: number) =>
      rows[token]!.slice(index * headDim, (index + 1) * headDim);
    const turned = (rows: Rows, token: number, index: number) => {
      const values = head(rows, token, index);
      return rope ? rotateHead(values, token, rope.rotaryDim, rope.base, rope.layout) : values;
    };
    const [q, k, v] = [await project('attn_q', 0), await project('attn_k', 1), await project('attn_v', 2)];
    const attended = x.map(() => new Float64Array(hiddenSize));
    for (let index = 0; index < numHeads; index++) {
      const keys = x.map((_, token) => turned(k, token, index));
      const values = x.map((_, token) => head(v, token, index));
      for (const [token, row] of attended.entries()) {
        row.set(attend(turned(q, token, index), keys, values, 1 / Math.sqrt(headDim)), index * headDim);
      }
    }
    return this.#weights.product(name('attn_output'), attended);
  }

  async #feedForward(block: string, x: Rows): Promise<Rows> {
    const { feedForwardSize } = this.#config;
    const name = (part: string) => `${block}.${part}.weight`;
    const up = await this.#weights.product(name('ffn_up'), x);
    if (!this.#weights.has(name('ffn_gate'))) {
      return this.#weights.product(
        name('ffn_down'),
        up.map((row) => row.map(gelu)),
      );
    }
    const gate = await this.#weights.product(name('ffn_gate'), x);
    const gated = gate.map((row, token) => glu([...row, ...up[token]!], feedForwardSize, 'silu'));
    return this.#weights.product(name('ffn_down'), gated);
  }
}

const add = (x: Rows, delta: Rows): Rows => x.map((row, token) => row.map((value, i) => value + delta[token]![i]!));
