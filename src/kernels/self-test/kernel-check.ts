/** One kernel on seeded random tensors, with its answer in float64: what self-tests, tests and benches run. */
import type { GpuDevice } from '../device.ts';
import { createKvCache } from '../kv-format.ts';
import { floatToHalf, halfToFloat } from '../quant/quant-format.ts';
import { nmse } from '../reference.ts';
import { createTensor, type ElementType, type Tensor } from '../tensor.ts';
import { readFloats, readWords, submitPass, uploadFloats, uploadWords } from '../transfer.ts';
import { HostKvCache } from './host-kv-cache.ts';

export type FloatType = Exclude<ElementType, 'u32'>;

/** Tensors are on the device, pipelines compiled, nothing recorded yet. */
export interface KernelCheck {
  /** Records the kernel once; it may be recorded again. */
  record(pass: GPUComputePassEncoder): void;
  /** NMSE of what the first record left behind against the reference. */
  error(): Promise<number>;
  /** NMSE that rounding to the tensors' types can explain. */
  readonly maxError: number;
  /** Frees the tensors. */
  close(): void;
}

/** F16 keeps 11 bits; sums are in F32. */
export const maxErrorOf = (...types: readonly FloatType[]): number => (types.includes('f16') ? 1e-6 : 1e-11);

/** Makes a check's tensors and frees them together. */
export class CheckTensors {
  readonly device: GpuDevice;
  readonly #tensors: Tensor[] = [];
  #seed: number;

  constructor(device: GpuDevice, seed = 1) {
    this.device = device;
    this.#seed = seed;
  }

  /** Uniform in [0, 1), the same for the same seed. Source: mulberry32. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Uniform in [−size, size), rounded to the type, so that reference and kernel start from the same numbers. */
  randomFloats(type: FloatType, length: number, size = 2): Float64Array {
    const round = type === 'f16' ? (value: number) => halfToFloat(floatToHalf(value)) : Math.fround;
    return Float64Array.from({ length }, () => round((this.random() * 2 - 1) * size));
  }

  async floats(type: FloatType, shape: readonly number[], values: ArrayLike<number>): Promise<Tensor> {
    return this.#keep(await uploadFloats(this.device, type, shape, values));
  }

  async words(shape: readonly number[], values: ArrayLike<number>): Promise<Tensor> {
    return this.#keep(await uploadWords(this.device, shape, values));
  }

  async kvCache(host: HostKvCache): Promise<Tensor> {
    const { format, numBlocks } = host.shape;
    const tensor = this.#keep(await createKvCache(this.device, format, numBlocks, host.shape, 'uploaded cache'));
    const padded = new Uint8Array(Math.ceil(host.bytes.length / 4) * 4);
    padded.set(host.bytes);
    this.device.device.queue.writeBuffer(tensor.buffer, 0, padded);
    return tensor;
  }

  async zeros(type: ElementType, shape: readonly number[]): Promise<Tensor> {
    return this.#keep(await createTensor(this.device, type, shape, 'result'));
  }

  close = (): void => {
    for (const { buffer } of this.#tensors) this.device.destroyBuffer(buffer);
  };

  #keep(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }
}

/** NMSE over the first elements of a float tensor: rows beyond the batch are not looked at. */
export const errorOf = async (device: GpuDevice, tensor: Tensor, expected: ArrayLike<number>): Promise<number> =>
  nmse(await readFloats(device, tensor), expected);

/** NMSE of everything that a cache on the device holds. */
export const kvErrorOf = async (device: GpuDevice, tensor: Tensor, expected: HostKvCache): Promise<number> => {
  const bytes = new Uint8Array(await device.read(tensor.buffer, 0, Math.ceil(expected.bytes.length / 4) * 4));
  return nmse(new HostKvCache(expected.shape, bytes).readAll(), expected.readAll());
};

/** 0 when all words are equal, 1 otherwise: ids are right or wrong. */
export const wordErrorOf = async (device: GpuDevice, tensor: Tensor, expected: readonly number[]): Promise<number> => {
  const words = await readWords(device, tensor);
  return expected.every((word, i) => words[i] === word) ? 0 : 1;
};

/** Runs a check once and frees it. */
export const runCheck = async (device: GpuDevice, check: KernelCheck): Promise<number> => {
  try {
    submitPass(device, (pass) => check.record(pass));
    return await check.error();
  } finally {
    check.close();
  }
};
