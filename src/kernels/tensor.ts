/** A shaped view of device memory. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';

export type ElementType = 'f32' | 'f16' | 'u32';

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { f32: 4, f16: 2, u32: 4 };

/** Row-major; `byteOffset` is a multiple of 256 so that any adapter can bind it. Lives as long as its buffer. */
export interface Tensor {
  readonly buffer: GPUBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

export const numElements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/**
 * Allocates a zeroed tensor that kernels can read and write and the host can copy from and to.
 * @throws EngineError out_of_memory
 */
export const createTensor = async (
  device: GpuDevice,
  type: ElementType,
  shape: readonly number[],
  label: string,
): Promise<Tensor> => {
  const byteLength = Math.max(16, Math.ceil((numElements(shape) * ELEMENT_BYTES[type]) / 16) * 16);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = await device.createBuffer(byteLength, usage, label);
  return { buffer, byteOffset: 0, byteLength, shape, type };
};

/** Creates a tensor and fills it. `values` are the tensor's elements as the device keeps them (f16 as bit patterns). */
export const uploadTensor = async (
  device: GpuDevice,
  type: ElementType,
  shape: readonly number[],
  values: Float32Array | Uint32Array | Uint16Array,
  label: string,
): Promise<Tensor> => {
  const tensor = await createTensor(device, type, shape, label);
  if (values.byteLength !== numElements(shape) * ELEMENT_BYTES[type]) {
    throw new EngineError('internal', `${label}: ${values.byteLength} bytes given for ${shape.join(' × ')} ${type}`);
  }
  if (values.byteLength > 0) device.device.queue.writeBuffer(tensor.buffer, 0, padTo4(values));
  return tensor;
};

const padTo4 = (values: Float32Array | Uint32Array | Uint16Array): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const padded = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  padded.set(bytes);
  return padded;
};
