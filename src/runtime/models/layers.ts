/** Pieces that architectures share: projections over fused weights, and the attention of one layer. */
import { bindAttentionDecode } from '../../kernels/attention-decode.ts';
import { bindAttentionPrefill } from '../../kernels/attention-prefill.ts';
import { bindKvWrite } from '../../kernels/kv-write.ts';
import { bindMatmul } from '../../kernels/matmul.ts';
import { createTensor, type Tensor } from '../../kernels/tensor.ts';
import type { StepShape } from '../step-state.ts';
import type { ForwardContext, LayerCache, ModelConfig } from './architecture.ts';

export type Recorder = (pass: GPUComputePassEncoder, shape: StepShape) => void;

/** Activation buffers that all layers share. x is the f32 residual stream; delta is what a block adds to it. */
export interface Activations {
  readonly x: Tensor;
  readonly normed: Tensor;
  readonly qkv: Tensor;
  readonly attended: Tensor;
  readonly gateUp: Tensor;
  readonly gated: Tensor;
  readonly delta: Tensor;
  readonly lastNormed: Tensor;
}

/** @throws EngineError out_of_memory */
export const createActivations = async (config: ModelConfig, context: ForwardContext): Promise<Activations> => {
  const { device, maxTokens, maxRows, activations } = context;
  const { hiddenSize, numHeads, numKvHeads, headDim, feedForwardSize } = config;
  const rows = (width: number, label: string) => createTensor(device, activations, [maxTokens, width], label);
  return {
    x: await createTensor(device, 'f32', [maxTokens, hiddenSize], 'residual stream'),
    normed: await rows(hiddenSize, 'normed'),
    qkv: await rows((numHeads + 2 * numKvHeads) * headDim, 'qkv'),
    attended: await rows(numHeads * headDim, 'attended'),
    gateUp: await rows(2 * feedForwardSize, 'gate and up'),
    gated: await rows(feedForwardSize, 'gated'),
    delta: await rows(hiddenSize, 'delta'),
    lastNormed: await createTensor(device, activations, [maxRows, hiddenSize], 'last normed'),
  };
};

/**
 * y = [W₁; W₂; …] · x, one matrix under the other: one dispatch where all tensors have one format, else one each.
 * @throws EngineError model_file_invalid when a tensor is absent or of the wrong shape
 */
export const bindProjection = async (
  context: ForwardContext,
  tensors: readonly { readonly name: string; readonly rows: number }[],
  x: Tensor,
  y: Tensor,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const { device, weights } = context;
  const columns = x.shape[1]!;
  const formats = new Set(tensors.map(({ name }) => weights.formatOf(name)));
  if (formats.size === 1) return bindMatmul(device, { x, weight: await weights.matrix(tensors, columns), y });
  const parts: ((pass: GPUComputePassEncoder, numRows: number) => void)[] = [];
  let yColumn = 0;
  for (const tensor of tensors) {
    parts.push(await bindMatmul(device, { x, weight: await weights.matrix([tensor], columns), y, yColumn }));
    yColumn += tensor.rows;
  }
  return (pass, numRows) => {
    for (const part of parts) part(pass, numRows);
  };
};

/** Writes K and V into the paged cache, then attends: decode rows through split-K, the others in prefill tiles. */
export const bindCachedAttention = async (
  context: ForwardContext,
  config: ModelConfig,
  { qkv, attended }: Pick<Activations, 'qkv' | 'attended'>,
  cache: LayerCache,
): Promise<Recorder> => {
  const { device, state, blockSize, maxSequences, contextLength } = context;
  const { numHeads, numKvHeads, headDim } = config;
  const kColumn = numHeads * headDim;
  const write = await bindKvWrite(device, {
    qkv,
    kColumn,
    vColumn: kColumn + numKvHeads * headDim,
    slots: state.slots,
    kCache: cache.k,
    vCache: cache.v,
  });
  const shared = {
    q: qkv,
    qColumn: 0,
    kCache: cache.k,
    vCache: cache.v,
    contextLengths: state.contextLengths,
    blockTableStarts: state.blockTableStarts,
    blockTables: state.blockTables,
    y: attended,
    numHeads,
    numKvHeads,
    headDim,
    blockSize,
    scale: 1 / Math.sqrt(headDim),
    maxSequences,
    maxContext: contextLength,
  };
  const decode = await bindAttentionDecode(device, shared);
  const prefill = await bindAttentionPrefill(device, { ...shared, tiles: state.tiles });
  return (pass, { numTokens, numDecode, maxDecodeContext, numTiles }) => {
    write(pass, numTokens);
    if (numDecode > 0) decode(pass, numDecode, maxDecodeContext);
    if (numTiles > 0) prefill(pass, numTiles);
  };
};
