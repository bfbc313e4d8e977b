/** What a device reaches at best: a stream copy for bandwidth, independent multiply-adds for arithmetic. */
import type { GpuDevice } from '../../src/kernels/device.ts';
import { timePass } from './bench.ts';

export interface Peak {
  /** Bytes read plus bytes written. */
  readonly gigabytesPerSecond: number;
  readonly gigaflops: number;
}

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * 64u;
  target_[index] = source[index];
}`;

const CHAINS = 8;
const STEPS = 256;

/** The factor comes from a buffer, so that no compiler can shorten the chains. */
const MULTIPLY_ADD = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = source[0];
  ${Array.from({ length: CHAINS }, (_, i) => `var v${i} = vec4f(f32(id.x) + ${i}.0);`).join('\n  ')}
  for (var step = 0u; step < ${STEPS}u; step++) {
    ${Array.from({ length: CHAINS }, (_, i) => `v${i} = fma(v${i}, factor, factor);`).join('\n    ')}
  }
  target_[id.x] = ${Array.from({ length: CHAINS }, (_, i) => `v${i}`).join(' + ')};
}`;

const FMA_THREADS = { software: 1 << 14, gpu: 1 << 20 };
const COPY_BYTES = { software: 1 << 26, gpu: 1 << 28 };
const SAMPLES = 5;

const best = async (
  device: GpuDevice,
  code: string,
  buffers: readonly GPUBuffer[],
  numInvocations: number,
): Promise<number> => {
  const module = device.device.createShaderModule({ code });
  const pipeline = await device.device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const group = device.device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const workgroups = numInvocations / 64;
  const x = Math.min(workgroups, 32_768);
  const record = (pass: GPUComputePassEncoder) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, workgroups / x);
  };
  await timePass(device, record, 1);
  const repeats = device.isSoftware ? 1 : 20;
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i++) times.push((await timePass(device, record, repeats)) / repeats);
  return Math.min(...times);
};

/** Measures both on an otherwise idle device; the best of five. */
export const measurePeak = async (device: GpuDevice): Promise<Peak> => {
  const kind = device.isSoftware ? 'software' : 'gpu';
  const bytes = Math.min(COPY_BYTES[kind], device.limits.maxStorageBufferBindingSize / 2);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const source = await device.createBuffer(bytes, usage, 'peak source');
  const target = await device.createBuffer(bytes, usage, 'peak target');
  const copyMs = await best(device, COPY, [source, target], bytes / 16);
  const threads = FMA_THREADS[kind];
  const fmaMs = await best(device, MULTIPLY_ADD, [source, target], threads);
  device.destroyBuffer(source);
  device.destroyBuffer(target);
  return {
    gigabytesPerSecond: (2 * bytes) / copyMs / 1e6,
    gigaflops: (threads * STEPS * CHAINS * 4 * 2) / fmaMs / 1e6,
  };
};
