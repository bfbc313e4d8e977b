/**
 * Llama 2, 3, 3.x and models of the same shape: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
 * Source: Touvron et al. 2023; tensor and key names from the GGUF specification.
 */
import { bindEmbedding } from '../../kernels/embedding.ts';
import { bindMatmul } from '../../kernels/matmul.ts';
import { bindRmsNorm } from '../../kernels/rms-norm.ts';
import { bindRope, ropeTable } from '../../kernels/rope.ts';
import { bindSwiglu } from '../../kernels/swiglu.ts';
import { uploadTensor } from '../../kernels/tensor.ts';
import { EngineError } from '../errors.ts';
import type { GgufFile } from '../weights/gguf.ts';
import type { Architecture, ForwardContext, ModelConfig } from './architecture.ts';
import { type Activations, bindCachedAttention, bindProjection, createActivations, type Recorder } from './layers.ts';

export interface LlamaConfig extends ModelConfig {
  readonly rmsNormEpsilon: number;
  readonly ropeBase: number;
  readonly rotaryDim: number;
  /** Positions are divided by this (linear scaling); 1 = none. */
  readonly ropeScale: number;
}

const readConfig = (file: GgufFile): LlamaConfig => {
  const key = (name: string) => `llama.${name}`;
  const hiddenSize = file.count(key('embedding_length'));
  const numHeads = file.count(key('attention.head_count'));
  const headDim = file.count(key('attention.key_length'), Math.floor(hiddenSize / numHeads));
  const scaling = file.string(key('rope.scaling.type'), 'none');
  if (scaling !== 'none' && scaling !== 'linear') {
    throw new EngineError(
      'model_unsupported',
      `${file.path}: rope.scaling.type is "${scaling}"; supported are none, linear and Llama 3's rope_freqs`,
    );
  }
  const numExperts = file.number(key('expert_count'), 0);
  if (numExperts > 0) {
    throw new EngineError(
      'model_unsupported',
      `${file.path}: a mixture of ${numExperts} experts; dense models only yet`,
    );
  }
  const config = {
    contextLength: file.count(key('context_length')),
    vocabularySize: file.tensor('token_embd.weight').rows,
    hiddenSize,
    numLayers: file.count(key('block_count')),
    numHeads,
    numKvHeads: file.count(key('attention.head_count_kv'), numHeads),
    headDim,
    feedForwardSize: file.count(key('feed_forward_length')),
    rmsNormEpsilon: file.number(key('attention.layer_norm_rms_epsilon'), 1e-5),
    ropeBase: file.number(key('rope.freq_base'), 10_000),
    rotaryDim: file.count(key('rope.dimension_count'), headDim),
    ropeScale: scaling === 'linear' ? file.number(key('rope.scaling.factor')) : 1,
  };
  checkConfig(file, config);
  return config;
};

/** Refuses what would compute nonsense, or allocate for layers that are not there, before the tensors' shapes tell. */
const checkConfig = (file: GgufFile, config: LlamaConfig): void => {
  const { numLayers, numHeads, numKvHeads, headDim, rotaryDim, rmsNormEpsilon, ropeBase, ropeScale } = config;
  const require = (isRight: boolean, field: string, value: number, allowed: string): void => {
    if (isRight) return;
    throw new EngineError('model_file_invalid', `${file.path}: llama.${field} is ${value}; allowed: ${allowed}`);
  };
  const isPositive = (value: number) => value > 0 && Number.isFinite(value);
  const lastLayer = `blk.${numLayers - 1}.attn_norm.weight`;
  require(file.tensors.has(lastLayer), 'block_count', numLayers, `the layers in the file, which has no ${lastLayer}`);
  require(numHeads % numKvHeads === 0, 'attention.head_count_kv', numKvHeads, `a divisor of the ${numHeads} heads`);
  require(headDim % 8 === 0, 'attention.key_length', headDim, 'a multiple of 8');
  const isRotary = rotaryDim % 2 === 0 && rotaryDim <= headDim;
  require(isRotary, 'rope.dimension_count', rotaryDim, `an even number up to the head's ${headDim}`);
  require(isPositive(rmsNormEpsilon), 'attention.layer_norm_rms_epsilon', rmsNormEpsilon, 'a positive number');
  require(isPositive(ropeBase), 'rope.freq_base', ropeBase, 'a positive number');
  require(isPositive(ropeScale), 'rope.scaling.factor', ropeScale, 'a positive number');
};

const bindLayer = async (
  layer: number,
  config: LlamaConfig,
  context: ForwardContext,
  buffers: Activations,
  rope: (pass: GPUComputePassEncoder, numRows: number) => void,
): Promise<Recorder> => {
  const { device, weights } = context;
  const { hiddenSize, numHeads, numKvHeads, headDim, feedForwardSize, rmsNormEpsilon: eps } = config;
  const name = (part: string) => `blk.${layer}.${part}.weight`;
  const { x, normed, qkv, attended, gateUp, gated, delta } = buffers;
  const attentionNorm = await bindRmsNorm(device, {
    x,
    weight: await weights.vector(name('attn_norm'), hiddenSize),
    y: normed,
    eps,
    ...(layer > 0 ? { delta } : {}),
  });
  const project = await bindProjection(
    context,
    [
      { name: name('attn_q'), rows: numHeads * headDim },
      { name: name('attn_k'), rows: numKvHeads * headDim },
      { name: name('attn_v'), rows: numKvHeads * headDim },
    ],
    normed,
    qkv,
  );
  const attention = await bindCachedAttention(context, config, buffers, context.caches[layer]!);
  const output = await bindProjection(context, [{ name: name('attn_output'), rows: hiddenSize }], attended, delta);
  const feedForwardNorm = await bindRmsNorm(device, {
    x,
    weight: await weights.vector(name('ffn_norm'), hiddenSize),
    y: normed,
    eps,
    delta,
  });
  const widen = await bindProjection(
    context,
    [
      { name: name('ffn_gate'), rows: feedForwardSize },
      { name: name('ffn_up'), rows: feedForwardSize },
    ],
    normed,
    gateUp,
  );
  const swiglu = await bindSwiglu(device, { gateUp, y: gated });
  const narrow = await bindProjection(context, [{ name: name('ffn_down'), rows: hiddenSize }], gated, delta);
  return (pass, shape) => {
    const { numTokens } = shape;
    attentionNorm(pass, numTokens);
    project(pass, numTokens);
    rope(pass, numTokens);
    attention(pass, shape);
    output(pass, numTokens);
    feedForwardNorm(pass, numTokens);
    widen(pass, numTokens);
    swiglu(pass, numTokens);
    narrow(pass, numTokens);
  };
};

/** Rotates q and k of the shared qkv buffer; the same for all layers. */
const bindRotation = async (config: LlamaConfig, context: ForwardContext, qkv: Activations['qkv']) => {
  const { device, weights, contextLength, state } = context;
  const { rotaryDim, ropeBase, ropeScale } = config;
  const frequencyFactors = weights.has('rope_freqs.weight')
    ? await weights.values('rope_freqs.weight', rotaryDim / 2)
    : new Float32Array(rotaryDim / 2).fill(ropeScale);
  const angles = ropeTable({ rotaryDim, numPositions: contextLength, base: ropeBase, frequencyFactors });
  const table = await uploadTensor(device, 'f32', [contextLength, rotaryDim / 2, 2], angles, 'rope table');
  return bindRope(device, {
    x: qkv,
    positions: state.positions,
    table,
    column: 0,
    numHeads: config.numHeads + config.numKvHeads,
    headDim: config.headDim,
    rotaryDim,
    layout: 'interleaved',
  });
};

const build = async (config: LlamaConfig, context: ForwardContext) => {
  const { device, weights, state } = context;
  const { vocabularySize, hiddenSize, numLayers, rmsNormEpsilon: eps } = config;
  const buffers = await createActivations(config, context);
  const { x, delta, lastNormed } = buffers;
  const embeddingTable = await weights.matrix([{ name: 'token_embd.weight', rows: vocabularySize }], hiddenSize);
  const embed = await bindEmbedding(device, { weight: embeddingTable, tokenIds: state.tokenIds, y: x });
  const rope = await bindRotation(config, context, buffers.qkv);
  const layers: Recorder[] = [];
  for (let layer = 0; layer < numLayers; layer++) {
    layers.push(await bindLayer(layer, config, context, buffers, rope));
  }
  const lastNorm = await bindRmsNorm(device, {
    x,
    weight: await weights.vector('output_norm.weight', hiddenSize),
    y: lastNormed,
    eps,
    delta,
    rows: state.logitTokens,
  });
  const head = weights.has('output.weight')
    ? await weights.matrix([{ name: 'output.weight', rows: vocabularySize }], hiddenSize)
    : embeddingTable;
  const unembed = await bindMatmul(device, { x: lastNormed, weight: head, y: context.logits });
  return (pass: GPUComputePassEncoder, shape: Parameters<Recorder>[1]) => {
    embed(pass, shape.numTokens);
    for (const layer of layers) layer(pass, shape);
    lastNorm(pass, shape.numRows);
    unembed(pass, shape.numRows);
  };
};

export const llama: Architecture<LlamaConfig> = { name: 'llama', readConfig, build };
