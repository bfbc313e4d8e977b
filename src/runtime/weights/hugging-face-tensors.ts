/**
 * Makes tensors that kernels can read of what published checkpoints keep: several files' worth of bytes become one tensor,
 * and quantized weights, stored apart from their scales, become blocks.
 */
import { quantFormatOf } from '../../kernels/quant/index.ts';
import { EngineError } from '../errors.ts';
import type { AssembleRows, ModelTensor } from './model-file.ts';
import { isObject, type SafeTensor } from './safetensors.ts';

type SafeTensorMap = ReadonlyMap<string, SafeTensor>;

const BLOCK = 32;

/**
 * The checkpoint's tensors under their published names; scales are part of the weights that they scale, and fused expert
 * weights have a name for gate and for up.
 * @throws EngineError model_unsupported for other quantizations, model_file_invalid for parts that do not fit
 */
export const assembleTensors = (
  folder: string,
  config: Readonly<Record<string, unknown>>,
  tensors: SafeTensorMap,
): ModelTensor[] => {
  const quantization = readQuantization(folder, config);
  const assembled: ModelTensor[] = [];
  for (const tensor of tensors.values()) {
    if (isPartOfAnother(tensor.name, tensors)) continue;
    const parts = { folder, tensors, tensor };
    if (tensors.has(`${stem(tensor.name)}.scales`)) assembled.push(fromMlx(parts, quantization));
    else if (tensor.dtype === 'F8_E4M3') assembled.push(fromFp8(parts));
    else if (/mlp\.experts\.(gate_up|down)_proj_(blocks|bias)$/.test(tensor.name)) assembled.push(...fromGptOss(parts));
    else assembled.push(plainTensor(tensor));
  }
  return assembled;
};

const fail = (folder: string, problem: string): never => {
  throw new EngineError('model_file_invalid', `${folder}: ${problem}`);
};

const stem = (name: string): string => name.replace(/\.weight$/, '');

const isPartOfAnother = (name: string, tensors: SafeTensorMap): boolean =>
  (/\.(scales|biases)$/.test(name) && tensors.has(name.replace(/\.\w+$/, '.weight'))) ||
  (name.endsWith('.weight_scale_inv') && tensors.has(name.replace(/_scale_inv$/, ''))) ||
  (name.endsWith('_scales') && tensors.has(name.replace(/_scales$/, '_blocks')));

interface Parts {
  readonly folder: string;
  readonly tensors: SafeTensorMap;
  readonly tensor: SafeTensor;
}

/** MLX's sizes of one tensor. */
interface AffineSize {
  readonly groupSize: number;
  readonly bits: number;
}

/** What config.json says of quantization; affine sizes by the module's name, where it has its own. */
interface Quantization {
  affineOf(module: string): AffineSize;
}

/**
 * Refuses a config.json whose weights are quantized in a way that no kernel reads, before the weights are there.
 * @throws EngineError model_unsupported
 */
export const requireQuantization = (folder: string, config: Readonly<Record<string, unknown>>): void => {
  const quantization = readQuantization(folder, config);
  if (isObject(config.quantization) && config.quantization.bits !== undefined) quantization.affineOf('the model');
};

const readQuantization = (folder: string, config: Readonly<Record<string, unknown>>): Quantization => {
  const whole = isObject(config.quantization) ? config.quantization : config.quantization_config;
  const all = isObject(whole) ? whole : {};
  const method = all.quant_method ?? (all.bits === undefined ? undefined : 'mlx');
  if (method !== undefined && !['mlx', 'fp8', 'mxfp4'].includes(String(method))) {
    throw new EngineError(
      'model_unsupported',
      `${folder}/config.json: the weights are quantized by ${JSON.stringify(method)}; supported in safetensors are F32, F16, BF16, MLX's affine 4 and 8 bits, FP8 E4M3 and gpt-oss's MXFP4: use a GGUF file of the model`,
    );
  }
  return {
    affineOf(module) {
      const own = isObject(all[module]) ? all[module] : all;
      const { bits = all.bits, group_size: groupSize = all.group_size, mode = all.mode ?? 'affine' } = own;
      if (mode === 'affine' && (bits === 4 || bits === 8) && [32, 64, 128].includes(Number(groupSize))) {
        return { bits, groupSize: Number(groupSize) };
      }
      throw new EngineError(
        'model_unsupported',
        `${folder}/config.json: ${module} is quantized to ${JSON.stringify(bits)} bits in groups of ${JSON.stringify(groupSize)}, mode ${JSON.stringify(mode)}; supported: affine, 4 or 8 bits, groups of 32, 64 or 128`,
      );
    },
  };
};

const rowCount = (shape: readonly number[]): number => shape.slice(0, -1).reduce((product, size) => product * size, 1);

const plainTensor = ({ name, dtype, shape, piece }: SafeTensor): ModelTensor => ({
  name,
  shape: shape.toReversed(),
  rows: rowCount(shape),
  columns: shape.at(-1) ?? 1,
  type: dtype,
  byteLength: piece.byteLength,
  pieces: [piece],
});

/** A tensor of quantized rows that `assemble` makes. `shape` is the published one, of weights. */
const blockTensor = (name: string, shape: readonly number[], type: string, assemble: AssembleRows): ModelTensor => {
  const format = quantFormatOf(type);
  if (!format) throw new EngineError('internal', `${name}: no format ${type}`);
  const columns = shape.at(-1)!;
  const rows = rowCount(shape);
  const byteLength = (rows * columns * format.blockBytes) / format.blockLength;
  return { name, shape: shape.toReversed(), rows, columns, type, byteLength, pieces: [], assemble };
};

/** Weights in words, scales and biases of groups. Source: MLX, `quantize`. */
const fromMlx = ({ folder, tensors, tensor }: Parts, quantization: Quantization): ModelTensor => {
  const module = stem(tensor.name);
  const { bits, groupSize } = quantization.affineOf(module);
  const scales = tensors.get(`${module}.scales`)!;
  const biases = tensors.get(`${module}.biases`);
  const columns = (tensor.shape.at(-1)! * BLOCK) / bits;
  const shape = [...tensor.shape.slice(0, -1), columns];
  const groupShape = `${[...tensor.shape.slice(0, -1), columns / groupSize]}`;
  const fits = [scales, biases].every((part) => part && `${part.shape}` === groupShape && part.dtype === scales.dtype);
  if (!biases || !fits || tensor.dtype !== 'U32') {
    return fail(
      folder,
      `${module}: scales [${scales.shape}], biases [${biases?.shape}] do not fit [${shape}] in groups of ${groupSize}`,
    );
  }
  if (scales.dtype !== 'F16' && scales.dtype !== 'BF16') {
    throw new EngineError('model_unsupported', `${folder}: ${module}.scales are ${scales.dtype}; supported: F16, BF16`);
  }
  const blocksPerRow = columns / BLOCK;
  const blocksPerGroup = groupSize / BLOCK;
  const blockBytes = 4 + 4 * bits;
  return blockTensor(tensor.name, shape, `AFFINE${bits}_${scales.dtype}`, async (read, firstRow, count) => {
    const rowsOf = ({ piece }: SafeTensor, rowBytes: number) => read(piece, firstRow * rowBytes, count * rowBytes);
    const quants = await rowsOf(tensor, blocksPerRow * 4 * bits);
    const groupBytes = (2 * columns) / groupSize;
    const [scale, bias] = [await rowsOf(scales, groupBytes), await rowsOf(biases, groupBytes)];
    const out = new Uint8Array(count * blocksPerRow * blockBytes);
    for (let block = 0; block < count * blocksPerRow; block++) {
      const to = block * blockBytes;
      const group = 2 * Math.floor(block / blocksPerGroup);
      out.set(scale.subarray(group, group + 2), to);
      out.set(bias.subarray(group, group + 2), to + 2);
      out.set(quants.subarray(block * 4 * bits, (block + 1) * 4 * bits), to + 4);
    }
    return out;
  });
};

/** One scale for a square of weights. Source: DeepSeek-V3 and Qwen3-FP8, `weight_scale_inv`. */
const fromFp8 = ({ folder, tensors, tensor }: Parts): ModelTensor => {
  const scale = tensors.get(`${tensor.name}_scale_inv`);
  const [rows, columns] = tensor.shape as [number, number];
  const [down, across] = scale?.shape ?? [];
  const size = 128;
  const fits = tensor.shape.length === 2 && down === Math.ceil(rows / size) && across === Math.ceil(columns / size);
  if (!scale || !fits || (scale.dtype !== 'F32' && scale.dtype !== 'BF16') || columns % BLOCK !== 0) {
    return fail(
      folder,
      `${tensor.name}: no scales [${Math.ceil(rows / size)}, ${Math.ceil(columns / size)}] of F32 or BF16 beside it`,
    );
  }
  const toFloats = quantFormatOf(scale.dtype)!;
  return blockTensor(tensor.name, tensor.shape, 'F8_E4M3', async (read, firstRow, count) => {
    const scales = new Float32Array(down! * across!);
    toFloats.dequantize(await read(scale.piece, 0, scale.piece.byteLength), scales);
    const quants = await read(tensor.piece, firstRow * columns, count * columns);
    const out = new Uint8Array((count * columns * 36) / BLOCK);
    const view = new DataView(out.buffer);
    for (let at = 0; at < count * columns; at += BLOCK) {
      const row = firstRow + Math.floor(at / columns);
      const to = (at / BLOCK) * 36;
      view.setFloat32(to, scales[Math.floor(row / size) * across! + Math.floor((at % columns) / size)]!, true);
      out.set(quants.subarray(at, at + BLOCK), to + 4);
    }
    return out;
  });
};

/**
 * Fused gate and up rows alternate: even rows are the gate's. Weights are MXFP4 blocks [experts, rows, K / 32, 16] beside
 * their exponents; biases are plain. Source: gpt-oss reference code.
 */
const fromGptOss = ({ folder, tensors, tensor }: Parts): ModelTensor[] => {
  const { name, shape } = tensor;
  const prefix = name.replace(/(gate_up|down)_proj\w*$/, '');
  const isFused = name.includes('gate_up_proj');
  const isBias = name.endsWith('_bias');
  const outputs = isFused ? [['gate_proj', 0] as const, ['up_proj', 1] as const] : [['down_proj', 0] as const];
  const step = outputs.length;
  const [numExperts, numRows] = shape as [number, number];
  if (numRows % step !== 0) fail(folder, `${name}: an odd number of rows, ${numRows}, in a fused matrix`);
  if (isBias) {
    return outputs.map(([part, first]) => {
      const bytes = tensor.piece.byteLength / (numExperts * numRows);
      const pick: AssembleRows = async (read, firstRow, count) =>
        strided(await read(tensor.piece, firstRow * numRows * bytes, count * numRows * bytes), bytes, first, step);
      const rows = numRows / step;
      return {
        name: `${prefix}${part}.bias`,
        shape: [rows, numExperts],
        rows: numExperts,
        columns: rows,
        type: tensor.dtype,
        byteLength: numExperts * rows * bytes,
        pieces: [],
        assemble: pick,
      };
    });
  }
  const scales = tensors.get(name.replace(/_blocks$/, '_scales'));
  const blocksPerRow = shape[2] ?? 0;
  if (
    !name.endsWith('_blocks') ||
    shape.length !== 4 ||
    shape[3] !== 16 ||
    `${scales?.shape}` !== `${shape.slice(0, 3)}`
  ) {
    return fail(folder, `${name}: [${shape}] is no MXFP4 matrix with its scales [${scales?.shape}]`);
  }
  return outputs.map(([part, first]) =>
    blockTensor(
      `${prefix}${part}.weight`,
      [numExperts, numRows / step, blocksPerRow * BLOCK],
      'MXFP4_PAIRS',
      async (read, firstRow, count) => {
        const rowBytes = blocksPerRow * 16;
        const quants = strided(
          await read(tensor.piece, firstRow * step * rowBytes, count * step * rowBytes),
          rowBytes,
          first,
          step,
        );
        const exponents = strided(
          await read(scales!.piece, firstRow * step * blocksPerRow, count * step * blocksPerRow),
          blocksPerRow,
          first,
          step,
        );
        const out = new Uint8Array(count * blocksPerRow * 17);
        for (let block = 0; block < count * blocksPerRow; block++) {
          out[block * 17] = exponents[block]!;
          out.set(quants.subarray(block * 16, block * 16 + 16), block * 17 + 1);
        }
        return out;
      },
    ),
  );
};

/** Every `step`-th run of `length` bytes, from the `first` on. */
const strided = (bytes: Uint8Array, length: number, first: number, step: number): Uint8Array<ArrayBuffer> => {
  if (step === 1) return Uint8Array.from(bytes);
  const out = new Uint8Array(bytes.length / step);
  for (let run = 0; run < out.length / length; run++) {
    const from = (run * step + first) * length;
    out.set(bytes.subarray(from, from + length), run * length);
  }
  return out;
};
