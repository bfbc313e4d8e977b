/** Device memory that dispatches of one pass take turns with: partial results between two stages of a kernel. */
import type { GpuDevice } from './device.ts';
import { createTensor, type ElementType, type Tensor } from './tensor.ts';

const scratches = new WeakMap<GpuDevice, Map<string, Promise<Tensor>>>();

/**
 * Returns a tensor that every caller with the same name, type and shape shares, so that the layers of a model do not
 * each own one. Its content lasts from one dispatch to the next of the same recorder, no longer. Lives as long as the
 * device.
 * @throws EngineError out_of_memory
 */
export const sharedScratch = (
  device: GpuDevice,
  type: ElementType,
  shape: readonly number[],
  name: string,
): Promise<Tensor> => {
  let ofDevice = scratches.get(device);
  if (!ofDevice) {
    ofDevice = new Map();
    scratches.set(device, ofDevice);
  }
  const key = `${name} ${type} ${shape.join(' × ')}`;
  let scratch = ofDevice.get(key);
  if (!scratch) {
    scratch = createTensor(device, type, shape, `${name} scratch`);
    ofDevice.set(key, scratch);
  }
  return scratch;
};
