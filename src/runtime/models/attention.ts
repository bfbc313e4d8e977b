/** The attention of one layer: projections, head norms, rotation, the paged cache, and the way back. */
import { bindAttentionDecode } from '../../kernels/attention-decode.ts';
import { bindAttentionPrefill } from '../../kernels/attention-prefill.ts';
import { bindHadamard } from '../../kernels/hadamard.ts';
import { bindHeadNorm } from '../../kernels/head-norm.ts';
import { isQuantized } from '../../kernels/kv-format.ts';
import { bindKvWrite } from '../../kernels/kv-write.ts';
import { bindRope, ropeTable } from '../../kernels/rope.ts';
import { type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import type { ForwardContext } from './architecture.ts';
import type { DecoderConfig, RopeScheme } from './decoder-config.ts';
import { type Activations, bindProjection, type Recorder } from './layers.ts';

type RecordRows = (pass: GPUComputePassEncoder, numRows: number) => void;

type RotaryContext = Pick<ForwardContext, 'device' | 'weights' | 'contextLength'>;

/** Cosines and sines on the device, one table a scheme. */
export class RotaryTables {
  readonly #context: RotaryContext;
  readonly #tables = new Map<RopeScheme, Promise<Tensor>>();

  constructor(context: RotaryContext) {
    this.#context = context;
  }

  /** [contextLength, rotaryDim / 2, 2] f32. */
  of(scheme: RopeScheme): Promise<Tensor> {
    let table = this.#tables.get(scheme);
    if (!table) {
      table = this.#create(scheme);
      this.#tables.set(scheme, table);
    }
    return table;
  }

  async #create({ base, rotaryDim, frequencyFactors, magnitude }: RopeScheme): Promise<Tensor> {
    const { device, contextLength } = this.#context;
    const factors = await this.#factors(frequencyFactors, rotaryDim / 2);
    const angles = ropeTable({
      rotaryDim,
      numPositions: contextLength,
      base,
      ...(factors ? { frequencyFactors: factors } : {}),
      ...(magnitude === undefined ? {} : { magnitude }),
    });
    return uploadTensor(device, 'f32', [contextLength, rotaryDim / 2, 2], angles, 'rope table');
  }

  async #factors(factors: RopeScheme['frequencyFactors'], length: number): Promise<ArrayLike<number> | undefined> {
    if (factors === undefined || factors instanceof Float64Array) return factors;
    const { weights, contextLength } = this.#context;
    if (typeof factors === 'string') return weights.values(factors, length);
    return weights.values(contextLength > factors.originalContext ? factors.long : factors.short, length);
  }
}

/** Attends from `buffers.normed`, and leaves the block's output in `buffers.delta`. */
export const bindAttention = async (
  context: ForwardContext,
  config: DecoderConfig,
  buffers: Activations,
  rotaryTables: RotaryTables,
  layer: number,
): Promise<Recorder> => {
  const { normed, qkv, attended, delta } = buffers;
  const { numHeads, numKvHeads, headDim, hiddenSize } = config;
  const name = (part: string) => `blk.${layer}.${part}.weight`;
  const kvRows = numKvHeads * headDim;
  const parts = context.weights.has(name('attn_qkv'))
    ? [{ name: name('attn_qkv'), rows: numHeads * headDim + 2 * kvRows }]
    : [
        { name: name('attn_q'), rows: numHeads * headDim },
        { name: name('attn_k'), rows: kvRows },
        { name: name('attn_v'), rows: kvRows },
      ];
  const project = await bindProjection(context, parts, normed, qkv);
  const prepare = [
    ...(await headNorm(context, config, qkv, layer)),
    ...(await rotation(context, config, qkv, rotaryTables, layer)),
  ];
  const attend = await bindCachedAttention(context, config, buffers, layer);
  const output = await bindProjection(context, [{ name: name('attn_output'), rows: hiddenSize }], attended, delta);
  return (pass, shape) => {
    project(pass, shape.numTokens);
    for (const record of prepare) record(pass, shape.numTokens);
    attend(pass, shape);
    output(pass, shape.numTokens);
  };
};

/** One recorder where the file has weights for it, else none. */
const headNorm = async (
  { device, weights }: ForwardContext,
  { numHeads, numKvHeads, headDim, rmsNormEpsilon: eps }: DecoderConfig,
  qkv: Tensor,
  layer: number,
): Promise<RecordRows[]> => {
  const names = ['attn_q_norm', 'attn_k_norm'].map((part) => `blk.${layer}.${part}.weight`);
  if (!weights.has(names[0]!)) return [];
  const both = new Float32Array(2 * headDim);
  for (const [i, name] of names.entries()) both.set(await weights.values(name, headDim), i * headDim);
  const weight = await uploadTensor(device, 'f32', [2, headDim], both, names.join(' + '));
  return [await bindHeadNorm(device, { x: qkv, weight, numHeads, numKvHeads, headDim, eps })];
};

/** Rotates q and k of the shared qkv buffer, unless the layer goes without. */
const rotation = async (
  { device, state }: ForwardContext,
  { numHeads, numKvHeads, headDim, layers }: DecoderConfig,
  qkv: Tensor,
  rotaryTables: RotaryTables,
  layer: number,
): Promise<RecordRows[]> => {
  const scheme = layers[layer]?.rope;
  if (!scheme) return [];
  const { rotaryDim, layout } = scheme;
  const table = await rotaryTables.of(scheme);
  const heads = { column: 0, numHeads: numHeads + numKvHeads, headDim, rotaryDim, layout };
  return [await bindRope(device, { x: qkv, positions: state.positions, table, ...heads })];
};

/** Writes K and V into the paged cache, then attends: decode rows through split-K, the others in prefill tiles. */
const bindCachedAttention = async (
  context: ForwardContext,
  config: DecoderConfig,
  { qkv, attended }: Pick<Activations, 'qkv' | 'attended'>,
  layer: number,
): Promise<Recorder> => {
  const { device, weights, state, blockSize, maxSequences, contextLength } = context;
  const { numHeads, numKvHeads, headDim, attentionScale, attentionSoftCap } = config;
  const cache = context.caches[layer]!;
  const kColumn = numHeads * headDim;
  const vColumn = kColumn + numKvHeads * headDim;
  const { slots, blockTableStarts } = state.groups[cache.group]!;
  const paged = { kvFormat: cache.format, kCache: cache.k, vCache: cache.v, numKvHeads, headDim, blockSize };
  const write = await bindKvWrite(device, { ...paged, qkv, kColumn, vColumn, slots });
  // Some columns of K are far larger than others, as those of V are not.
  const spread = isQuantized(cache.format)
    ? await bindHadamard(device, { x: qkv, column: 0, numHeads: numHeads + numKvHeads, headDim })
    : undefined;
  const window = config.layers[layer]?.window;
  const sinksName = `blk.${layer}.attn_sinks.weight`;
  const shared = {
    ...paged,
    q: qkv,
    qColumn: 0,
    contextLengths: state.contextLengths,
    blockTableStarts,
    blockTables: state.blockTables,
    y: attended,
    numHeads,
    scale: attentionScale,
    ...(window === undefined ? {} : { window }),
    ...(attentionSoftCap === undefined ? {} : { softCap: attentionSoftCap }),
    ...(weights.has(sinksName) ? { sinks: await weights.vector(sinksName, numHeads) } : {}),
    maxSequences,
    maxContext: contextLength,
  };
  const decode = await bindAttentionDecode(device, shared);
  const prefill = await bindAttentionPrefill(device, { ...shared, tiles: state.tiles });
  return (pass, { numTokens, numDecode, maxDecodeContext, numTiles }) => {
    spread?.(pass, numTokens);
    write(pass, numTokens);
    if (numDecode > 0) decode(pass, numDecode, maxDecodeContext);
    if (numTiles > 0) prefill(pass, numTiles);
  };
};
