/** Numbers between host and device as float32, whatever the tensor keeps: for self-tests, tests and benches. */
import type { GpuDevice } from './device.ts';
import { floatToHalf, halfToFloat } from './quant/quant-format.ts';
import { ELEMENT_BYTES, type ElementType, numElements, type Tensor, uploadTensor } from './tensor.ts';

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
