/** A compiled compute shader, its bindings by name, and its dispatch. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import type { Tensor } from './tensor.ts';
import { assembleShader, type Shader, type ShaderSource } from './wgsl.ts';

/** Workgroups in x, y and z. */
export type Grid = readonly [x: number, y?: number, z?: number];

const MAX_GRID = 65_535;

/** Spreads `count` workgroups over x and y, since x alone ends at 65,535. Shaders use x + y * numWorkgroups.x and a guard. */
export const linearGrid = (count: number): Grid =>
  count <= MAX_GRID ? [count] : [MAX_GRID, Math.ceil(count / MAX_GRID)];

/** Weight of compile time at load: how many pipelines were built and how long that took, for `doctor` and benches. */
export interface CompileRecord {
  readonly name: string;
  readonly milliseconds: number;
}

export const compileRecords: CompileRecord[] = [];

export class Kernel {
  readonly name: string;
  readonly #device: GpuDevice;
  readonly #shader: Shader;
  readonly #pipeline: GPUComputePipeline;
  readonly #layout: GPUBindGroupLayout;

  private constructor(device: GpuDevice, shader: Shader, pipeline: GPUComputePipeline, layout: GPUBindGroupLayout) {
    this.name = shader.name;
    this.#device = device;
    this.#shader = shader;
    this.#pipeline = pipeline;
    this.#layout = layout;
  }

  /**
   * Compiles `shaders/<name>.wgsl`; equal source text compiles once a device.
   * @throws EngineError shader_invalid, naming the shader file and line
   */
  static async compile(device: GpuDevice, name: string, source: ShaderSource = {}): Promise<Kernel> {
    const shader = assembleShader(name, source);
    const layout = device.device.createBindGroupLayout({
      label: name,
      entries: shader.bindings.map(({ binding, access }) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      })),
    });
    let pipeline = device.pipelines.get(shader.code);
    if (!pipeline) {
      pipeline = compilePipeline(device, shader, layout);
      device.pipelines.set(shader.code, pipeline);
    }
    return new Kernel(device, shader, await pipeline, layout);
  }

  /**
   * Fixes the tensors a dispatch works on; do it once, at load. Every binding of the shader must be named.
   * @throws EngineError internal when a name is missing or a tensor exceeds the binding limit
   */
  bind(tensors: Readonly<Record<string, Tensor>>): BoundKernel {
    const limit = this.#device.limits.maxStorageBufferBindingSize;
    const entries = this.#shader.bindings.map(({ name, binding }) => {
      const tensor = tensors[name];
      if (!tensor) throw new EngineError('internal', `${this.name}: no tensor bound to ${name}`);
      if (tensor.byteLength > limit) {
        throw new EngineError(
          'internal',
          `${this.name}: ${name} has ${tensor.byteLength} bytes, a binding at most ${limit}`,
        );
      }
      return { binding, resource: { buffer: tensor.buffer, offset: tensor.byteOffset, size: tensor.byteLength } };
    });
    const group = this.#device.device.createBindGroup({ label: this.name, layout: this.#layout, entries });
    return new BoundKernel(this.#shader, this.#pipeline, group);
  }
}

/** A kernel with its tensors: what a step records. */
export class BoundKernel {
  readonly name: string;
  readonly #shader: Shader;
  readonly #pipeline: GPUComputePipeline;
  readonly #group: GPUBindGroup;
  readonly #parameters: DataView<ArrayBuffer>;

  constructor(shader: Shader, pipeline: GPUComputePipeline, group: GPUBindGroup) {
    this.name = shader.name;
    this.#shader = shader;
    this.#pipeline = pipeline;
    this.#group = group;
    this.#parameters = new DataView(new ArrayBuffer(shader.parameterBytes));
  }

  /** Records one dispatch. `parameters` fills `struct Params` by name. A grid with a zero records nothing. */
  dispatch(pass: GPUComputePassEncoder, parameters: Readonly<Record<string, number>>, grid: Grid): void {
    const [x, y = 1, z = 1] = grid;
    if (x === 0 || y === 0 || z === 0) return;
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#group);
    if (this.#shader.parameterBytes > 0) {
      for (const { name, type, byteOffset } of this.#shader.parameters) {
        const value = parameters[name];
        if (value === undefined) throw new EngineError('internal', `${this.name}: parameter ${name} is missing`);
        if (type === 'f32') this.#parameters.setFloat32(byteOffset, value, true);
        else if (type === 'i32') this.#parameters.setInt32(byteOffset, value, true);
        else this.#parameters.setUint32(byteOffset, value, true);
      }
      pass.setImmediates(0, this.#parameters.buffer);
    }
    pass.dispatchWorkgroups(x, y, z);
  }
}

const compilePipeline = async (
  device: GpuDevice,
  shader: Shader,
  layout: GPUBindGroupLayout,
): Promise<GPUComputePipeline> => {
  const start = performance.now();
  device.device.pushErrorScope('validation');
  const module = device.device.createShaderModule({ label: shader.name, code: shader.code });
  const pipelineLayout = device.device.createPipelineLayout({
    bindGroupLayouts: [layout],
    immediateSize: shader.parameterBytes,
  });
  const scope = device.device.popErrorScope();
  const [info, invalid] = await Promise.all([module.getCompilationInfo(), scope]);
  const fault = info.messages.find((message) => message.type === 'error');
  if (fault) throw new EngineError('shader_invalid', `${shader.locate(fault.lineNum)}: ${fault.message}`);
  if (invalid) throw new EngineError('shader_invalid', `${shader.name}: ${invalid.message}`);
  const compilation = device.device.createComputePipelineAsync({
    label: shader.name,
    layout: pipelineLayout,
    compute: { module, entryPoint: 'main' },
  });
  const pipeline = await device.settled(compilation).catch((error: unknown) => {
    throw new EngineError('shader_invalid', `${shader.name}: ${error instanceof Error ? error.message : error}`);
  });
  compileRecords.push({ name: shader.name, milliseconds: performance.now() - start });
  return pipeline;
};
