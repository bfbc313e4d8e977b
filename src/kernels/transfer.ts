/** Numbers between host and device as float32, whatever the tensor keeps: for self-tests, tests and benches. */
import type { GpuDevice } from './device.ts';
import { halfToFloat } from './quant/quant-format.ts';
import { ELEMENT_BYTES, type ElementType, numElements, type Tensor, uploadTensor } from './tensor.ts';

const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** The nearest F16, ties to even, as its bit pattern; beyond its range an infinity. */
export const floatToHalf = (value: number): number => {
  floatBits[0] = value;
  const word = wordBits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below the least normal number the step is fixed: 2⁻²⁴.
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(value) * 2 ** 24);
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
};

const roundHalfEven = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
};

/**
 * Creates a tensor from floats, rounded to its type.
 * @throws EngineError out_of_memory
 */
export const uploadFloats = (
  device: GpuDevice,
  type: Exclude<ElementType, 'u32'>,
  shape: readonly number[],
  values: ArrayLike<number>,
): Promise<Tensor> => {
  const elements =
    type === 'f32' ? Float32Array.from(values) : Uint16Array.from(values, (value: number) => floatToHalf(value));
  return uploadTensor(device, type, shape, elements, 'uploaded');
};

export const uploadWords = (device: GpuDevice, shape: readonly number[], values: ArrayLike<number>): Promise<Tensor> =>
  uploadTensor(device, 'u32', shape, Uint32Array.from(values), 'uploaded');

/** A tensor's elements as float32. */
export const readFloats = async (device: GpuDevice, tensor: Tensor): Promise<Float32Array> => {
  const byteLength = numElements(tensor.shape) * ELEMENT_BYTES[tensor.type];
  const bytes = await device.read(tensor.buffer, tensor.byteOffset, byteLength);
  return tensor.type === 'f16' ? Float32Array.from(new Uint16Array(bytes), halfToFloat) : new Float32Array(bytes);
};

export const readWords = async (device: GpuDevice, tensor: Tensor): Promise<Uint32Array> =>
  new Uint32Array(await device.read(tensor.buffer, tensor.byteOffset, numElements(tensor.shape) * 4));

/** Submits one compute pass. */
export const submitPass = (device: GpuDevice, record: (pass: GPUComputePassEncoder) => void): void => {
  const encoder = device.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  record(pass);
  pass.end();
  device.device.queue.submit([encoder.finish()]);
};
