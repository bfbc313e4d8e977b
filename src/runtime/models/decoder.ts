/**
 * The decoder-only transformer that all architectures here are variants of. What a family has beyond the common shape is
 * told by its config where it is a number, and by the file's tensors where it is a weight: biases, head norms, post norms,
 * fused projections.
 */
import { bindEmbedding } from '../../kernels/embedding.ts';
import { bindGlu } from '../../kernels/glu.ts';
import { bindMatmul } from '../../kernels/matmul.ts';
import { bindPooling } from '../../kernels/pooling.ts';
import { bindRmsNorm, type RmsNormTensors } from '../../kernels/rms-norm.ts';
import { bindSoftCap } from '../../kernels/soft-cap.ts';
import type { Tensor } from '../../kernels/tensor.ts';
import type { WeightMatrix } from '../../kernels/weight-matrix.ts';
import type { ForwardContext, ForwardPass } from './architecture.ts';
import { bindAttention, RotaryTables } from './attention.ts';
import type { DecoderConfig } from './decoder-config.ts';
import { ExpertBlocks } from './experts.ts';
import { type Activations, bindProjection, createActivations, type Recorder } from './layers.ts';
import { referenceLogits } from './reference-decoder.ts';

/** What a block leaves to be added to the residual stream, and the norm it goes through first, if it has one. */
type Delta = Pick<RmsNormTensors, 'delta' | 'deltaWeight'>;

class Decoder {
  readonly #config: DecoderConfig;
  readonly #context: ForwardContext;
  readonly #buffers: Activations;
  readonly #experts: ExpertBlocks | undefined;

  constructor(config: DecoderConfig, context: ForwardContext, buffers: Activations) {
    this.#config = config;
    this.#context = context;
    this.#buffers = buffers;
    this.#experts = config.experts && new ExpertBlocks(config, context, config.experts);
  }

  /** y = norm(x + delta), where x keeps the sum. */
  async norm(name: string, delta: Delta, y: Tensor) {
    return this.#normBy(await this.#context.weights.vector(name, this.#config.hiddenSize), delta, y);
  }

  /**
   * From the last layer to logits of the rows that want them, and to sums of final states where those are wanted: then x is
   * no more what it was.
   */
  async head(delta: Delta, table: WeightMatrix): Promise<Recorder> {
    const { device, weights, state, logits, pooled } = this.#context;
    const { hiddenSize, vocabularySize, logitSoftCap } = this.#config;
    const { normed, lastNormed } = this.#buffers;
    const weight = await weights.vector('output_norm.weight', hiddenSize);
    const lastNorm = await this.#normBy(weight, delta, lastNormed, state.logitTokens);
    const matrix = weights.has('output.weight')
      ? await weights.matrix([{ name: 'output.weight', rows: vocabularySize }], hiddenSize)
      : table;
    const unembed = await bindMatmul(device, { x: lastNormed, weight: matrix, y: logits });
    const cap = logitSoftCap === undefined ? undefined : await bindSoftCap(device, logits, logitSoftCap);
    const everyNorm = await this.#normBy(weight, delta, normed);
    const pool = await bindPooling(device, { x: normed, segments: state.segments, y: pooled });
    return (pass, { numTokens, numRows, numSegments }) => {
      lastNorm(pass, numRows);
      unembed(pass, numRows);
      cap?.(pass, numRows);
      if (numSegments === 0) return;
      everyNorm(pass, numTokens);
      pool(pass, numSegments);
    };
  }

  #normBy(weight: Tensor, delta: Delta, y: Tensor, rows?: Tensor) {
    const { rmsNormEpsilon: eps } = this.#config;
    const { x } = this.#buffers;
    return bindRmsNorm(this.#context.device, { x, weight, y, eps, ...delta, ...(rows ? { rows } : {}) });
  }

  /** The delta of a block, with the post norm of that name where the file has one. */
  async delta(postNorm: string | undefined): Promise<Delta> {
    const { weights } = this.#context;
    const { delta } = this.#buffers;
    if (postNorm === undefined || !weights.has(postNorm)) return { delta };
    return { delta, deltaWeight: await weights.vector(postNorm, this.#config.hiddenSize) };
  }

  async feedForward(layer: number): Promise<Recorder> {
    const { device, weights } = this.#context;
    const { hiddenSize, feedForwardSize, activation } = this.#config;
    const { normed, gateUp, gated, delta } = this.#buffers;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    if (this.#experts && weights.has(name('ffn_gate_inp'))) return this.#experts.bind(this.#buffers, layer);
    const parts = weights.has(name('ffn_gate'))
      ? [
          { name: name('ffn_gate'), rows: feedForwardSize },
          { name: name('ffn_up'), rows: feedForwardSize },
        ]
      : [{ name: name('ffn_up'), rows: 2 * feedForwardSize }];
    const widen = await bindProjection(this.#context, parts, normed, gateUp);
    const glu = await bindGlu(device, { gateUp, y: gated, activation });
    const narrow = await bindProjection(this.#context, [{ name: name('ffn_down'), rows: hiddenSize }], gated, delta);
    return (pass, { numTokens }) => {
      widen(pass, numTokens);
      glu(pass, numTokens);
      narrow(pass, numTokens);
    };
  }
}

/** The norm before a feed-forward block, and that behind attention. Files without the first call it by the second's name. */
const feedForwardNorms = (layer: number, weights: ForwardContext['weights']): [string, string | undefined] => {
  const own = `blk.${layer}.ffn_norm.weight`;
  const attended = `blk.${layer}.post_attention_norm.weight`;
  return weights.has(own) ? [own, attended] : [attended, undefined];
};

/** Loads the weights, compiles the kernels and prebinds every dispatch. */
const build = async (config: DecoderConfig, context: ForwardContext): Promise<ForwardPass> => {
  const { device, weights, state } = context;
  const { vocabularySize, hiddenSize, numLayers, embeddingScale } = config;
  const buffers = await createActivations(config, context);
  const { x, normed } = buffers;
  const parts = new Decoder(config, context, buffers);
  const table = await weights.matrix([{ name: 'token_embd.weight', rows: vocabularySize }], hiddenSize);
  const scale = embeddingScale === undefined ? {} : { scale: embeddingScale };
  const embed = await bindEmbedding(device, { weight: table, tokenIds: state.tokenIds, y: x, ...scale });
  const rotaryTables = new RotaryTables(context);
  const layers: Recorder[] = [];
  let delta: Delta = {};
  for (let layer = 0; layer < numLayers; layer++) {
    const attentionNorm = await parts.norm(`blk.${layer}.attn_norm.weight`, delta, normed);
    const attention = await bindAttention(context, config, buffers, rotaryTables, layer);
    const [feedForwardName, attendedName] = feedForwardNorms(layer, weights);
    delta = await parts.delta(attendedName);
    const feedForwardNorm = await parts.norm(feedForwardName, delta, normed);
    const feedForward = await parts.feedForward(layer);
    delta = await parts.delta(`blk.${layer}.post_ffw_norm.weight`);
    layers.push((pass, shape) => {
      attentionNorm(pass, shape.numTokens);
      attention(pass, shape);
      feedForwardNorm(pass, shape.numTokens);
      feedForward(pass, shape);
    });
  }
  const head = await parts.head(delta, table);
  return (pass, shape) => {
    embed(pass, shape.numTokens);
    for (const layer of layers) layer(pass, shape);
    head(pass, shape);
  };
};

/** The two forward passes that every architecture of this kind has. */
export const decoder = { build, reference: referenceLogits };
