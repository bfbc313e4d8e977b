/** Pieces that blocks share: the activations between kernels, and projections over fused weights. */
import type { GpuDevice } from '../../kernels/device.ts';
import { bindMatmul } from '../../kernels/matmul.ts';
import { createTensor, type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import type { StepShape } from '../step-state.ts';
import type { WeightLoader } from '../weights/load.ts';
import type { ForwardContext, ModelConfig } from './architecture.ts';

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

interface Part {
  readonly name: string;
  readonly rows: number;
}

/** Where a projection's weights come from and go to. */
interface Loading {
  readonly device: GpuDevice;
  readonly weights: WeightLoader;
}

/**
 * y = [W₁; W₂; …] · x + b, one matrix under the other: one dispatch where all tensors have one format, else one each.
 * b is what the file has under the tensors' names with `.bias` in place of `.weight`.
 * @throws EngineError model_file_invalid when a tensor is absent or of the wrong shape
 */
export const bindProjection = async (
  context: Loading,
  tensors: readonly Part[],
  x: Tensor,
  y: Tensor,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const { device, weights } = context;
  const columns = x.shape[1]!;
  const bias = await joinBiases(context, tensors, y.shape[1]!);
  const formats = new Set(tensors.map(({ name }) => weights.formatOf(name)));
  if (formats.size === 1) return bindMatmul(device, { x, weight: await weights.matrix(tensors, columns), y, ...bias });
  const parts: ((pass: GPUComputePassEncoder, numRows: number) => void)[] = [];
  let yColumn = 0;
  for (const tensor of tensors) {
    const weight = await weights.matrix([tensor], columns);
    parts.push(await bindMatmul(device, { x, weight, y, yColumn, ...bias }));
    yColumn += tensor.rows;
  }
  return (pass, numRows) => {
    for (const part of parts) part(pass, numRows);
  };
};

/** The tensors' biases side by side, zeros for those without one; nothing when none has. */
const joinBiases = async (
  { device, weights }: Loading,
  tensors: readonly Part[],
  width: number,
): Promise<{ bias?: Tensor }> => {
  const biasOf = (name: string) => name.replace(/weight$/, 'bias');
  if (!tensors.some(({ name }) => weights.has(biasOf(name)))) return {};
  const values = new Float32Array(width);
  let column = 0;
  for (const { name, rows } of tensors) {
    if (weights.has(biasOf(name))) values.set(await weights.values(biasOf(name), rows), column);
    column += rows;
  }
  return {
    bias: await uploadTensor(device, 'f32', [width], values, tensors.map(({ name }) => biasOf(name)).join(' + ')),
  };
};
