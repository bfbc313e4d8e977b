/** Opens a WebGPU device through Dawn, reads what the adapter can do, and accounts for every byte allocated on it. */
import { create, globals } from 'webgpu';
import { EngineError } from '../runtime/errors.ts';
import { gentlePoll } from './gentle-poll.ts';

/** Optional adapter features that kernels have variants for. */
export type OptionalFeature = 'shader-f16' | 'subgroups' | 'timestamp-query';

export interface DeviceOptions {
  /** Part of an adapter's name or vendor, case-insensitive; absent: the fastest one found. */
  readonly adapter?: string;
  /** Features not to request though the adapter has them: this is how fallbacks are tested. */
  readonly without?: readonly OptionalFeature[];
  /** `default` requests no more than WebGPU guarantees everywhere. */
  readonly limits?: 'adapter' | 'default';
  /** Leaves out validation and bounds checks, as a release should; tests keep them. */
  readonly checks?: 'full' | 'none';
}

const OPTIONAL_FEATURES: readonly OptionalFeature[] = ['shader-f16', 'subgroups', 'timestamp-query'];

/** Limits raised to the adapter's own value; the rest stay at WebGPU's defaults. */
const RAISED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

const RELEASE_TOGGLES = ['skip_validation', 'disable_robustness', 'disable_workgroup_init'];

// Dawn's objects die with the GPU object that made them, and Node crashes if it is collected first.
const liveInstances = new Set<GPU>();

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Without this toggle Dawn hides F16 on NVIDIA's Vulkan driver. */
const baseToggles = ['vulkan_enable_f16_on_nvidia'];

export class GpuDevice {
  readonly device: GPUDevice;
  /** The adapter as people know it: "llvmpipe-llvm-15-0-6-256-bits (software)". */
  readonly name: string;
  /** Name, driver and features: what tuning and caches are keyed by. */
  readonly description: string;
  /** Kernels run on the processor: other variants are fast there. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  readonly hasSubgroups: boolean;
  readonly hasTimestamps: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly limits: GPUSupportedLimits;
  /** Resolves when the device is gone, with the reason; never after `close`. */
  readonly lost: Promise<EngineError>;
  /** Compiled pipelines by source text; owned by `Kernel.compile`. */
  readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();
  #bytes = 0;
  #closed = false;
  readonly #instance: GPU;

  private constructor(instance: GPU, adapter: GPUAdapter, device: GPUDevice) {
    const { vendor, architecture, device: model, description } = adapter.info;
    this.#instance = instance;
    this.device = device;
    this.limits = device.limits;
    this.isSoftware = adapter.info.isFallbackAdapter;
    // Dawn makes a slug of the name, and ends it where a bracket closed.
    const shortName = model.replace(/-+$/, '') || description || vendor;
    this.name = `${shortName}${this.isSoftware ? ' (software)' : ''}`;
    this.description = [vendor, architecture, model, description].filter(Boolean).join(' / ');
    this.hasF16 = device.features.has('shader-f16');
    this.hasSubgroups = device.features.has('subgroups');
    this.hasTimestamps = device.features.has('timestamp-query');
    this.subgroupMinSize = this.hasSubgroups ? (adapter.info.subgroupMinSize ?? 4) : 1;
    this.subgroupMaxSize = this.hasSubgroups ? (adapter.info.subgroupMaxSize ?? 128) : 1;
    this.lost = new Promise((resolve) => {
      void device.lost.then((info) => {
        if (this.#closed) return;
        resolve(
          new EngineError(
            'device_lost',
            `the GPU device was lost: ${info.message || info.reason}. Retry the request.`,
            {
              retryAfterSeconds: 5,
            },
          ),
        );
      });
    });
  }

  /**
   * Opens the adapter asked for, or the fastest one.
   * @throws EngineError adapter_not_found when there is none, naming what was found
   */
  static async open(options: DeviceOptions = {}): Promise<GpuDevice> {
    const toggles = [...baseToggles, ...(options.checks === 'none' ? RELEASE_TOGGLES : [])];
    const flags = [`enable-dawn-features=${toggles.join(',')}`];
    if (options.adapter !== undefined) flags.push(`adapter=${options.adapter}`);
    const instance = create(flags);
    installGlobals();
    const adapter = await requestAdapter(instance, options.adapter);
    const requiredFeatures = OPTIONAL_FEATURES.filter(
      (feature) => adapter.features.has(feature) && !options.without?.includes(feature),
    );
    const requiredLimits: Record<string, number> = {};
    if (options.limits !== 'default') for (const limit of RAISED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits }).catch((error: unknown) => {
      throw new EngineError('adapter_not_found', `the adapter ${adapter.info.device} refused: ${errorText(error)}`);
    });
    liveInstances.add(instance);
    return new GpuDevice(instance, adapter, device);
  }

  /** Bytes of all live buffers made by `createBuffer`. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Makes a buffer of at least 16 bytes, rounded up to a multiple of 16, zeroed.
   * @throws EngineError out_of_memory
   */
  async createBuffer(byteLength: number, usage: GPUBufferUsageFlags, label: string): Promise<GPUBuffer> {
    const size = Math.max(16, Math.ceil(byteLength / 16) * 16);
    if (size > this.limits.maxBufferSize) {
      throw new EngineError(
        'out_of_memory',
        `${label} needs ${size} bytes, the adapter's largest buffer is ${this.limits.maxBufferSize}`,
      );
    }
    this.device.pushErrorScope('out-of-memory');
    this.device.pushErrorScope('validation');
    const buffer = this.device.createBuffer({ size, usage, label });
    const [invalid, outOfMemory] = await Promise.all([this.device.popErrorScope(), this.device.popErrorScope()]);
    const error = invalid ?? outOfMemory;
    if (error) {
      throw new EngineError(
        'out_of_memory',
        `the GPU has no room for ${label} (${size} bytes; ${this.#bytes} in use): ${error.message}. ` +
          'Use a smaller model, --context or --kv-memory.',
      );
    }
    this.#bytes += size;
    return buffer;
  }

  /** Settles as a promise of this device that waits for its kernels or its compiler: a step, a mapping, a pipeline. */
  settled<Result>(promise: Promise<Result>): Promise<Result> {
    return this.isSoftware ? gentlePoll(promise) : promise;
  }

  /** Frees a buffer made by `createBuffer` at once. */
  destroyBuffer(buffer: GPUBuffer): void {
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Copies a buffer's bytes to the host. Slow: for tests and diagnosis, not for the step. */
  async read(buffer: GPUBuffer, byteOffset = 0, byteLength = buffer.size - byteOffset): Promise<ArrayBuffer> {
    const size = Math.ceil(byteLength / 4) * 4;
    const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, byteOffset, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    await this.settled(staging.mapAsync(GPUMapMode.READ));
    const bytes = staging.getMappedRange().slice(0, byteLength);
    staging.destroy();
    return bytes;
  }

  /** Frees the device and everything made on it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.device.destroy();
    liveInstances.delete(this.#instance);
  }
}

let globalsInstalled = false;

/** WebGPU's constants (`GPUBufferUsage`, …) are globals in the specification; Dawn exports them as an object. */
const installGlobals = (): void => {
  if (globalsInstalled) return;
  Object.assign(globalThis, globals);
  globalsInstalled = true;
};

const requestAdapter = async (instance: GPU, wanted: string | undefined): Promise<GPUAdapter> => {
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (adapter) return adapter;
  throw new EngineError(
    'adapter_not_found',
    wanted === undefined
      ? 'no WebGPU adapter was found. On Linux without a GPU, install a software Vulkan driver (mesa-vulkan-drivers ≥ 23).'
      : `no WebGPU adapter matches --adapter ${wanted}. Run \`firstlight doctor\` without it to see what there is.`,
  );
};
