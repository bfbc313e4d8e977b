/**
 * The encoder that BERT and its relatives are: every token sees the whole text, and each block's output goes through a
 * LayerNorm together with what it was added to. What a member has of its own, its tensors and its config tell.
 */
import { bindAttentionPacked } from '../../kernels/attention-packed.ts';
import type { GpuDevice } from '../../kernels/device.ts';
import { bindEmbedding } from '../../kernels/embedding.ts';
import { bindGelu } from '../../kernels/gelu.ts';
import { bindGlu } from '../../kernels/glu.ts';
import { bindLayerNorm, type LayerNormTensors } from '../../kernels/layer-norm.ts';
import { bindPooling } from '../../kernels/pooling.ts';
import { bindRope } from '../../kernels/rope.ts';
import { createTensor, type ElementType, type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import type { WeightLoader } from '../weights/load.ts';
import type { ModelFile } from '../weights/model-file.ts';
import { RotaryTables } from './attention.ts';
import type { ConfigKeys, RopeScheme } from './decoder-config.ts';
import { bindProjection } from './layers.ts';
import { type Pooling, readPooling } from './pooling.ts';
import { referenceEmbedding } from './reference-encoder.ts';

/** Lengths in tokens or elements. */
export interface EncoderConfig {
  /** Most tokens of a text. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly feedForwardSize: number;
  readonly layerNormEpsilon: number;
  readonly pooling: Pooling;
  /** Absent: positions have rows of their own, which are added to the tokens'. */
  readonly rope?: RopeScheme;
  /** Rows of `token_types.weight`, of which every token has the first; 0 without that tensor. */
  readonly numTokenTypes: number;
}

export interface EncoderContext {
  readonly device: GpuDevice;
  readonly weights: WeightLoader;
  readonly contextLength: number;
  readonly maxTokens: number;
  /** Type of the activations between kernels; the residual stream is always f32. */
  readonly activations: Extract<ElementType, 'f32' | 'f16'>;
  /** [maxTokens] u32 */
  readonly tokenIds: Tensor;
  /** [maxTokens] u32, from 0 in each sequence. */
  readonly positions: Tensor;
  /** [maxTokens, 2] u32: first row of the token's sequence, and the row behind its last. */
  readonly spans: Tensor;
  /** [maxSequences, 2] u32: the rows that make a sequence's embedding, first and count. */
  readonly segments: Tensor;
  /** f32 [maxSequences, hiddenSize]: where the forward pass leaves the sums of those rows. */
  readonly pooled: Tensor;
}

export type EncoderPass = (pass: GPUComputePassEncoder, shape: EncoderShape) => void;

export interface EncoderShape {
  readonly numTokens: number;
  readonly numSequences: number;
}

export interface EncoderArchitecture {
  /** `general.architecture` in GGUF. */
  readonly name: string;
  /** @throws EngineError model_file_invalid or model_unsupported, naming the field */
  readConfig(file: ModelFile): EncoderConfig;
  /** Loads the weights, compiles the kernels and prebinds every dispatch. */
  build(config: EncoderConfig, context: EncoderContext): Promise<EncoderPass>;
  /** The same on the CPU, slowly and in float64: the embedding of one text, of length 1, [hiddenSize]. */
  reference(config: EncoderConfig, file: ModelFile, ids: readonly number[]): Promise<Float64Array>;
}

/**
 * What all encoders have under the same keys.
 * @throws EngineError model_file_invalid, naming the key
 */
export const readEncoderConfig = (keys: ConfigKeys): EncoderConfig => {
  const { file } = keys;
  const hiddenSize = keys.count('embedding_length');
  const numHeads = keys.count('attention.head_count');
  const headDim = hiddenSize / numHeads;
  const numLayers = keys.count('block_count');
  keys.require(Number.isInteger(headDim), 'attention.head_count', numHeads, `a divisor of the width ${hiddenSize}`);
  keys.require(headDim % 4 === 0, 'attention.head_count', numHeads, `heads of a multiple of 4, not ${headDim}`);
  const lastLayer = `blk.${numLayers - 1}.attn_output.weight`;
  keys.require(file.tensors.has(lastLayer), 'block_count', numLayers, `the layers in the file, without ${lastLayer}`);
  const layerNormEpsilon = keys.number('attention.layer_norm_epsilon', 1e-12);
  keys.require(layerNormEpsilon > 0, 'attention.layer_norm_epsilon', layerNormEpsilon, 'a positive number');
  if (keys.boolean('attention.causal', false)) keys.unsupported('attention.causal', 'true', 'false, as encoders have');
  return {
    contextLength: keys.count('context_length'),
    vocabularySize: file.tensor('token_embd.weight').rows,
    hiddenSize,
    numLayers,
    numHeads,
    headDim,
    feedForwardSize: keys.count('feed_forward_length'),
    layerNormEpsilon,
    pooling: readPooling(file, 'mean'),
    numTokenTypes: file.tensors.get('token_types.weight')?.rows ?? 0,
  };
};

type RecordRows = (pass: GPUComputePassEncoder, numRows: number) => void;

class Encoder {
  readonly #config: EncoderConfig;
  readonly #context: EncoderContext;
  readonly #x: Tensor;
  readonly #rows: (width: number, label: string) => Promise<Tensor>;
  readonly #rotaryTables: RotaryTables;

  constructor(config: EncoderConfig, context: EncoderContext, x: Tensor) {
    this.#config = config;
    this.#context = context;
    this.#x = x;
    this.#rows = (width, label) => createTensor(context.device, context.activations, [context.maxTokens, width], label);
    this.#rotaryTables = new RotaryTables(context);
  }

  /** x = norm(x + …), with a copy in y. `name` has neither `.weight` nor `.bias`. */
  async norm(name: string, y: Tensor, added: Pick<LayerNormTensors, 'delta' | 'shift'>): Promise<RecordRows> {
    const { device, weights } = this.#context;
    const { hiddenSize, layerNormEpsilon: eps } = this.#config;
    const weight = await weights.vector(`${name}.weight`, hiddenSize);
    const bias = await weights.vector(`${name}.bias`, hiddenSize);
    return bindLayerNorm(device, { x: this.#x, weight, bias, y, eps, ...added });
  }

  /** x = norm(token + token type + position) */
  async embed(normed: Tensor): Promise<RecordRows[]> {
    const { device, weights, tokenIds, positions, maxTokens } = this.#context;
    const { vocabularySize, hiddenSize, numTokenTypes, rope } = this.#config;
    const matrix = (name: string, rows: number) => weights.matrix([{ name, rows }], hiddenSize);
    const table = await matrix('token_embd.weight', vocabularySize);
    const records = [await bindEmbedding(device, { weight: table, tokenIds, y: this.#x })];
    const added: { delta?: Tensor; shift?: Tensor } = {};
    if (numTokenTypes > 0) {
      const types = await weights.values('token_types.weight', numTokenTypes * hiddenSize);
      added.shift = await uploadTensor(device, 'f32', [hiddenSize], types.slice(0, hiddenSize), 'token type');
    }
    if (!rope) {
      added.delta = await createTensor(device, 'f32', [maxTokens, hiddenSize], 'position rows');
      const rows = await matrix('position_embd.weight', weights.rowsOf('position_embd.weight'));
      records.push(await bindEmbedding(device, { weight: rows, tokenIds: positions, y: added.delta }));
    }
    records.push(await this.norm('token_embd_norm', normed, added));
    return records;
  }

  async attention(buffers: Buffers, layer: number): Promise<RecordRows[]> {
    const { device, weights, positions, spans } = this.#context;
    const { numHeads, headDim, hiddenSize, rope } = this.#config;
    const { normed, qkv, attended, delta } = buffers;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const parts = weights.has(name('attn_qkv'))
      ? [{ name: name('attn_qkv'), rows: 3 * hiddenSize }]
      : ['attn_q', 'attn_k', 'attn_v'].map((part) => ({ name: name(part), rows: hiddenSize }));
    const records = [await bindProjection(this.#context, parts, normed, qkv)];
    if (rope) {
      const table = await this.#rotaryTables.of(rope);
      const heads = { column: 0, numHeads: 2 * numHeads, headDim, rotaryDim: rope.rotaryDim, layout: rope.layout };
      records.push(await bindRope(device, { x: qkv, positions, table, ...heads }));
    }
    records.push(await bindAttentionPacked(device, { qkv, spans, y: attended, numHeads, headDim }));
    const output = [{ name: name('attn_output'), rows: hiddenSize }];
    records.push(await bindProjection(this.#context, output, attended, delta));
    return records;
  }

  async feedForward({ normed, wide, gated, delta }: Buffers, layer: number): Promise<RecordRows[]> {
    const { device } = this.#context;
    const { hiddenSize, feedForwardSize: rows } = this.#config;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const narrow = [{ name: name('ffn_down'), rows: hiddenSize }];
    if (!gated) {
      return [
        await bindProjection(this.#context, [{ name: name('ffn_up'), rows }], normed, wide),
        await bindGelu(device, wide),
        await bindProjection(this.#context, narrow, wide, delta),
      ];
    }
    const parts = ['ffn_gate', 'ffn_up'].map((part) => ({ name: name(part), rows }));
    return [
      await bindProjection(this.#context, parts, normed, wide),
      await bindGlu(device, { gateUp: wide, y: gated, activation: 'silu' }),
      await bindProjection(this.#context, narrow, gated, delta),
    ];
  }

  async createBuffers(): Promise<Buffers> {
    const { hiddenSize, feedForwardSize } = this.#config;
    const isGated = this.#context.weights.has('blk.0.ffn_gate.weight');
    return {
      normed: await this.#rows(hiddenSize, 'normed'),
      qkv: await this.#rows(3 * hiddenSize, 'qkv'),
      attended: await this.#rows(hiddenSize, 'attended'),
      wide: await this.#rows((isGated ? 2 : 1) * feedForwardSize, isGated ? 'gate and up' : 'up'),
      gated: isGated ? await this.#rows(feedForwardSize, 'gated') : undefined,
      delta: await this.#rows(hiddenSize, 'delta'),
    };
  }
}

/** Activations that all layers share. */
interface Buffers {
  readonly normed: Tensor;
  readonly qkv: Tensor;
  readonly attended: Tensor;
  /** Gate and up side by side where there is a gate. */
  readonly wide: Tensor;
  readonly gated: Tensor | undefined;
  readonly delta: Tensor;
}

const build = async (config: EncoderConfig, context: EncoderContext): Promise<EncoderPass> => {
  const { device, maxTokens, segments, pooled } = context;
  const x = await createTensor(device, 'f32', [maxTokens, config.hiddenSize], 'residual stream');
  const encoder = new Encoder(config, context, x);
  const buffers = await encoder.createBuffers();
  const { normed, delta } = buffers;
  const records = await encoder.embed(normed);
  for (let layer = 0; layer < config.numLayers; layer++) {
    records.push(...(await encoder.attention(buffers, layer)));
    records.push(await encoder.norm(`blk.${layer}.attn_output_norm`, normed, { delta }));
    records.push(...(await encoder.feedForward(buffers, layer)));
    records.push(await encoder.norm(`blk.${layer}.layer_output_norm`, normed, { delta }));
  }
  const pool = await bindPooling(device, { x, segments, y: pooled });
  return (pass, { numTokens, numSequences }) => {
    for (const record of records) record(pass, numTokens);
    pool(pass, numSequences);
  };
};

/** The two forward passes that every architecture of this kind has. */
export const encoder = { build, reference: referenceEmbedding };
