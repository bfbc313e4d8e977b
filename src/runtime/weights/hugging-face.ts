/** Opens a model folder as published on the Hugging Face hub: config.json and safetensors, under GGUF's names. */
import { join } from 'node:path';
import { EngineError } from '../errors.ts';
import { GGML_TYPES } from './ggml-type.ts';
import { translateConfig } from './hugging-face-config.ts';
import { encoderTensorName, isEncoder, readPoolingModule } from './hugging-face-encoders.ts';
import { assembleTensors } from './hugging-face-tensors.ts';
import { type AssembleRows, ModelFile, type ModelTensor } from './model-file.ts';
import { openSafetensors, readJsonObject } from './safetensors.ts';

/** Whole names. Source: the modelling code of the families, and GGUF's `constants.py`. */
const NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** What follows `model.layers.N.`, without `.weight` or `.bias`. */
const LAYER_NAMES: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.gate': 'ffn_gate_inp',
  'mlp.router': 'ffn_gate_inp',
};

/** Gemma has norms on both sides of a block. */
const GEMMA_NAMES: Readonly<Record<string, string>> = {
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

/** Of all experts in one tensor, or of one. */
const EXPERT_NAMES: Readonly<Record<string, string>> = {
  gate_proj: 'ffn_gate_exps',
  up_proj: 'ffn_up_exps',
  down_proj: 'ffn_down_exps',
};

/** Tables that older checkpoints keep and that follow from the configuration. */
const IGNORED = /\.rotary_emb\.inv_freq$|\.masked_bias$/;

/**
 * @throws EngineError model_not_found, model_file_invalid, model_unsupported; each names the file and what is supported
 */
export const openHuggingFace = async (folder: string): Promise<ModelFile> => {
  const configPath = join(folder, 'config.json');
  const config = await readJsonObject(configPath);
  if (!config) {
    throw new EngineError('model_not_found', `${configPath}: missing; a folder of safetensors needs its config.json`);
  }
  const translated = translateConfig(configPath, config);
  const pooling = await readPoolingModule(folder);
  const metadata = new Map(translated.metadata);
  if (pooling !== undefined) metadata.set(`${translated.architecture}.pooling_type`, pooling);
  const files = await openSafetensors(folder);
  try {
    const published = assembleTensors(folder, config, files.tensors);
    const tensors = nameTensors(folder, published, translated.architecture);
    if (translated.isTied) tensors.delete('output.weight');
    for (const [name, values] of translated.vectors) tensors.set(name, vectorTensor(name, values));
    return new ModelFile({ path: folder, metadata, tensors, handles: files.handles });
  } catch (error) {
    await Promise.all(files.handles.map((handle) => handle.close()));
    throw error;
  }
};

const nameTensors = (
  folder: string,
  tensors: readonly ModelTensor[],
  architecture: string,
): Map<string, ModelTensor> => {
  if (isEncoder(architecture)) return nameEncoderTensors(tensors);
  const isGemma = architecture.startsWith('gemma');
  const named = new Map<string, ModelTensor>();
  const stacks = new Map<string, { expert: number; tensor: ModelTensor }[]>();
  for (const tensor of tensors) {
    // Models that also see images keep their text model under a name of its own; the rest of them is not computed.
    const ownName = tensor.name.replace(/^(model\.)?language_model\.(model\.)?(?=layers|embed|norm)/, 'model.');
    // Embedding models are published without what would be around them in a model that generates.
    const name = ownName.replace(/^language_model\./, '').replace(/^(?=(layers|embed_tokens|norm)\.)/, 'model.');
    if (IGNORED.test(name)) continue;
    const expert = /^model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight$/.exec(name);
    if (expert && EXPERT_NAMES[expert[3]!]) {
      const stackName = `blk.${expert[1]}.${EXPERT_NAMES[expert[3]!]}.weight`;
      stacks.set(stackName, [...(stacks.get(stackName) ?? []), { expert: Number(expert[2]), tensor }]);
      continue;
    }
    const ggufName = ggufNameOf(name, isGemma) ?? name;
    // Gemma's norms multiply by one more than what is stored; GGUF files store the sum.
    const addsOne = isGemma && /norm\.weight$/.test(ggufName);
    named.set(ggufName, { ...tensor, name: ggufName, ...(addsOne ? { addend: 1 } : {}) });
  }
  for (const [name, stack] of stacks) named.set(name, joinExperts(folder, name, stack));
  return named;
};

const nameEncoderTensors = (tensors: readonly ModelTensor[]): Map<string, ModelTensor> => {
  const named = new Map<string, ModelTensor>();
  for (const tensor of tensors) {
    const name = encoderTensorName(tensor.name);
    if (name !== null) named.set(name ?? tensor.name, { ...tensor, name: name ?? tensor.name });
  }
  return named;
};

const ggufNameOf = (name: string, isGemma: boolean): string | undefined => {
  if (NAMES[name]) return NAMES[name];
  const [, layer, part, kind] = /^model\.layers\.(\d+)\.(.+?)(?:\.(weight|bias))?$/.exec(name) ?? [];
  if (layer === undefined || part === undefined) return undefined;
  if (part === 'self_attn.sinks') return `blk.${layer}.attn_sinks.weight`;
  const [, expertPart] = /^mlp\.(?:experts|switch_mlp)\.(\w+)$/.exec(part) ?? [];
  if (expertPart && EXPERT_NAMES[expertPart]) return `blk.${layer}.${EXPERT_NAMES[expertPart]}.${kind}`;
  const own = (isGemma ? GEMMA_NAMES[part] : undefined) ?? LAYER_NAMES[part];
  return own && `blk.${layer}.${own}.${kind}`;
};

/** [experts, rows, columns] of matrices that are stored one by one. */
const joinExperts = (
  folder: string,
  name: string,
  stack: readonly { readonly expert: number; readonly tensor: ModelTensor }[],
): ModelTensor => {
  const tensors = stack.toSorted((a, b) => a.expert - b.expert).map(({ tensor }) => tensor);
  const first = tensors[0]!;
  const isComplete =
    new Set(stack.map(({ expert }) => expert)).size === Math.max(...stack.map(({ expert }) => expert)) + 1;
  const isAlike = tensors.every(({ type, shape }) => type === first.type && `${shape}` === `${first.shape}`);
  if (!isComplete || !isAlike) {
    throw new EngineError('model_file_invalid', `${folder}: ${name}: experts are missing or differ in type or shape`);
  }
  const whole = {
    name,
    shape: [...first.shape, tensors.length],
    rows: first.rows * tensors.length,
    columns: first.columns,
    type: first.type,
    byteLength: first.byteLength * tensors.length,
  };
  if (!first.assemble) return { ...whole, pieces: tensors.flatMap(({ pieces }) => pieces) };
  const assemble: AssembleRows = async (read, firstRow, count) => {
    const rowBytes = first.byteLength / first.rows;
    const out = new Uint8Array(count * rowBytes);
    for (let row = firstRow; row < firstRow + count; ) {
      const expert = Math.floor(row / first.rows);
      const rows = Math.min(firstRow + count, (expert + 1) * first.rows) - row;
      out.set(await tensors[expert]!.assemble!(read, row - expert * first.rows, rows), (row - firstRow) * rowBytes);
      row += rows;
    }
    return out;
  };
  return { ...whole, pieces: [], assemble };
};

const vectorTensor = (name: string, values: readonly number[]): ModelTensor => {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  const piece = { source: bytes, offset: 0, byteLength: bytes.byteLength };
  const { name: type } = GGML_TYPES.get(0)!;
  return {
    name,
    shape: [values.length],
    rows: 1,
    columns: values.length,
    type,
    byteLength: bytes.byteLength,
    pieces: [piece],
  };
};
