/** Computes logits on the GPU: one encoder, one pass, one submit a step. */
import { bindArgmax } from '../kernels/argmax.ts';
import { PREFILL_TILE_ROWS } from '../kernels/attention-prefill.ts';
import type { GpuDevice } from '../kernels/device.ts';
import type { KvFormat } from '../kernels/kv-format.ts';
import { createTensor, numElements, type Tensor } from '../kernels/tensor.ts';
import { bindTopK } from '../kernels/top-k.ts';
import { EngineError } from './errors.ts';
import { createCaches, type KvPlan, poolTensors } from './kv-memory.ts';
import { KvTransfer } from './kv-transfer.ts';
import type { Batch, KvGeometry, ModelRunner, StepLimits, StepLogits } from './model-runner.ts';
import type { Architecture, ForwardPass, ModelConfig } from './models/architecture.ts';
import { StepState } from './step-state.ts';
import type { WeightLoader } from './weights/load.ts';

export interface GpuRunnerOptions {
  readonly kvPlan: KvPlan;
  readonly maxBatchTokens: number;
  readonly maxSequences: number;
  /** Most rows of logits a step; fewer where the vocabulary is large. */
  readonly maxRows: number;
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: KvFormat;
}

const MAX_CANDIDATES = 64;

export class GpuRunner implements ModelRunner {
  readonly kv: KvGeometry;
  readonly limits: StepLimits;
  readonly maxCandidates: number;
  readonly #device: GpuDevice;
  readonly #state: StepState;
  readonly #forward: ForwardPass;
  readonly #logits: Tensor;
  readonly #pooled: Tensor;
  readonly #results: ResultBuffer;
  readonly #transfer: KvTransfer;
  readonly #argmax: (pass: GPUComputePassEncoder, numRows: number) => void;
  readonly #topK: (pass: GPUComputePassEncoder, numRows: number) => void;
  #deviceLost: EngineError | undefined;
  #fault: string | undefined;

  private constructor(parts: RunnerParts) {
    this.kv = parts.kv;
    this.#device = parts.device;
    this.#state = parts.state;
    this.#forward = parts.forward;
    this.#logits = parts.logits;
    this.#pooled = parts.pooled;
    this.#results = parts.results;
    this.#transfer = parts.transfer;
    this.#argmax = parts.argmax;
    this.#topK = parts.topK;
    this.maxCandidates = parts.results.candidates;
    this.limits = parts.limits;
    void parts.device.lost.then((error) => {
      this.#deviceLost = error;
    });
    parts.device.device.onuncapturederror = (event) => {
      this.#fault ??= event.error.message;
    };
  }

  /**
   * Allocates the KV pool and the step's buffers, loads the weights and compiles the kernels.
   * @throws EngineError out_of_memory, model_file_invalid, model_unsupported, shader_invalid
   */
  static async create<Config extends ModelConfig>(
    device: GpuDevice,
    architecture: Architecture<Config>,
    config: Config,
    weights: WeightLoader,
    options: GpuRunnerOptions,
  ): Promise<GpuRunner> {
    const { kvPlan, maxBatchTokens, maxSequences } = options;
    const { contextLength, kv } = kvPlan;
    const { vocabularySize } = config;
    const rowLimit = Math.floor(device.limits.maxStorageBufferBindingSize / (vocabularySize * 4));
    const maxRows = Math.max(1, Math.min(options.maxRows, rowLimit, maxBatchTokens));
    const caches = await createCaches(device, config, kvPlan, options.kvFormat);
    const transfer = await KvTransfer.create(device, poolTensors(caches), kv);
    const state = await StepState.create(device, {
      maxTokens: maxBatchTokens,
      maxSequences,
      maxRows,
      contextLength,
      kv,
      tileRows: PREFILL_TILE_ROWS,
    });
    const logits = await createTensor(device, 'f32', [maxRows, vocabularySize], 'logits');
    const pooled = await createTensor(device, 'f32', [maxSequences, config.hiddenSize], 'pooled rows');
    const forward = await architecture.build(config, {
      device,
      weights,
      state,
      caches,
      blockSize: kv.blockSize,
      maxTokens: maxBatchTokens,
      maxSequences,
      maxRows,
      contextLength,
      activations: options.activations,
      logits,
      pooled,
    });
    const results = await ResultBuffer.create(device, maxRows, Math.min(MAX_CANDIDATES, vocabularySize));
    const argmax = await bindArgmax(device, { logits, ids: results.argmax });
    const topK = await bindTopK(device, {
      logits,
      ids: results.candidateIds,
      values: results.candidateLogits,
      logSumExp: results.logSumExp,
    });
    const limits = { maxTokens: maxBatchTokens, maxSequences, maxRows };
    return new GpuRunner({ device, kv, limits, state, forward, logits, pooled, results, transfer, argmax, topK });
  }

  get gpuBytes(): number {
    return this.#device.bytes;
  }

  async forward(batch: Batch): Promise<StepLogits> {
    if (this.#deviceLost) throw this.#deviceLost;
    const numRows = batch.logitTokens.length;
    if (numRows > this.limits.maxRows) {
      throw new EngineError(
        'internal',
        `${numRows} rows of logits asked for, at most ${this.limits.maxRows} fit a step`,
      );
    }
    const withCandidates = batch.numCandidates > 0 && numRows > 0;
    const { device } = this.#device;
    const shape = this.#state.upload(batch);
    const encoder = device.createCommandEncoder({ label: 'step' });
    this.#transfer.copy(encoder, batch.copies);
    const pass = encoder.beginComputePass();
    this.#forward(pass, shape);
    if (numRows > 0) this.#argmax(pass, numRows);
    if (withCandidates) this.#topK(pass, numRows);
    pass.end();
    this.#results.copy(encoder, withCandidates);
    device.queue.submit([encoder.finish()]);
    return this.#orDeviceLoss(async () => {
      const reading = this.#results.read(numRows, withCandidates ? batch.numCandidates : 0);
      const result = await this.#device.settled(reading);
      const pooled = shape.numSegments > 0 ? { pooled: await this.#readPooled(shape.numSegments) } : {};
      if (this.#fault !== undefined) throw new EngineError('internal', `the GPU reported: ${this.#takeFault()}`);
      return { ...result, ...pooled, readLogits: (rows) => this.#orDeviceLoss(() => this.#readLogits(rows)) };
    });
  }

  get kvTransferMs(): number {
    return this.#transfer.hostMs;
  }

  get maxBlocksMoved(): number {
    return this.#transfer.maxBlocks;
  }

  readBlocks(blocks: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#orDeviceLoss(() => this.#transfer.read(blocks));
  }

  writeBlocks(blocks: readonly number[], payloads: readonly Uint8Array[], isWanted?: () => boolean): Promise<boolean> {
    return this.#orDeviceLoss(() => this.#transfer.write(blocks, payloads, isWanted));
  }

  release(): void {
    // The KV cache lies in blocks that the scheduler frees; nothing is kept by sequence here.
  }

  /** Drops the device as a driver's reset would: what follows must recover. For tests of that. */
  loseDevice(): void {
    this.#device.device.destroy();
  }

  async close(): Promise<void> {
    this.#device.close();
  }

  async #readPooled(numSegments: number): Promise<Float32Array> {
    const { buffer, byteOffset, shape } = this.#pooled;
    return new Float32Array(await this.#device.read(buffer, byteOffset, numSegments * shape[1]! * 4));
  }

  async #readLogits(rows: readonly number[]): Promise<Float32Array> {
    const width = this.#logits.shape[1]!;
    const whole = new Float32Array(rows.length * width);
    for (const [index, row] of rows.entries()) {
      whole.set(
        new Float32Array(await this.#device.read(this.#logits.buffer, row * width * 4, width * 4)),
        index * width,
      );
    }
    return whole;
  }

  #takeFault(): string {
    const fault = this.#fault ?? '';
    this.#fault = undefined;
    return fault;
  }

  /** @throws EngineError device_lost in place of whatever a lost device makes of the work */
  async #orDeviceLoss<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw this.#deviceLost ?? (await this.#asDeviceLoss(error));
    }
  }

  /** A mapping that fails is how a lost device shows first; give its own notice a moment to arrive. */
  async #asDeviceLoss(error: unknown): Promise<unknown> {
    if (error instanceof EngineError) return error;
    const lost = await Promise.race([
      this.#device.lost,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100)),
    ]);
    return lost ?? error;
  }
}

interface RunnerParts {
  readonly device: GpuDevice;
  readonly kv: KvGeometry;
  readonly limits: StepLimits;
  readonly state: StepState;
  readonly forward: ForwardPass;
  readonly logits: Tensor;
  readonly pooled: Tensor;
  readonly results: ResultBuffer;
  readonly transfer: KvTransfer;
  readonly argmax: (pass: GPUComputePassEncoder, numRows: number) => void;
  readonly topK: (pass: GPUComputePassEncoder, numRows: number) => void;
}

/** Everything a step reports, side by side in one buffer, so that one copy and one mapping bring it home. */
class ResultBuffer {
  readonly maxRows: number;
  readonly candidates: number;
  readonly argmax: Tensor;
  readonly logSumExp: Tensor;
  readonly candidateIds: Tensor;
  readonly candidateLogits: Tensor;
  readonly #buffer: GPUBuffer;
  readonly #staging: GPUBuffer;

  private constructor(buffer: GPUBuffer, staging: GPUBuffer, maxRows: number, candidates: number) {
    let byteOffset = 0;
    const section = (type: 'u32' | 'f32', shape: number[]): Tensor => {
      const byteLength = numElements(shape) * 4;
      const tensor = { buffer, byteOffset, byteLength: Math.ceil(byteLength / 16) * 16, shape, type };
      byteOffset += Math.ceil(byteLength / 256) * 256;
      return tensor;
    };
    this.maxRows = maxRows;
    this.candidates = candidates;
    this.argmax = section('u32', [maxRows]);
    this.logSumExp = section('f32', [maxRows]);
    this.candidateIds = section('u32', [maxRows, candidates]);
    this.candidateLogits = section('f32', [maxRows, candidates]);
    this.#buffer = buffer;
    this.#staging = staging;
  }

  static async create(device: GpuDevice, maxRows: number, candidates: number): Promise<ResultBuffer> {
    const size = maxRows * (8 + 8 * candidates) + 4 * 256;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    const buffer = await device.createBuffer(size, usage, 'results');
    const staging = await device.createBuffer(
      size,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      'result staging',
    );
    return new ResultBuffer(buffer, staging, maxRows, candidates);
  }

  copy(encoder: GPUCommandEncoder, withCandidates: boolean): void {
    const end = withCandidates ? this.#buffer.size : this.logSumExp.byteOffset;
    encoder.copyBufferToBuffer(this.#buffer, 0, this.#staging, 0, end);
  }

  async read(numRows: number, numCandidates: number): Promise<Omit<StepLogits, 'readLogits'>> {
    await this.#staging.mapAsync(GPUMapMode.READ);
    const bytes = this.#staging.getMappedRange();
    const words = (section: Tensor, length: number) => new Uint32Array(bytes, section.byteOffset, length);
    const candidateIds = new Uint32Array(numRows * numCandidates);
    const candidateLogits = new Float32Array(numRows * numCandidates);
    for (let row = 0; row < numRows; row++) {
      const from = row * this.candidates;
      const to = row * numCandidates;
      candidateIds.set(new Uint32Array(bytes, this.candidateIds.byteOffset + from * 4, numCandidates), to);
      candidateLogits.set(new Float32Array(bytes, this.candidateLogits.byteOffset + from * 4, numCandidates), to);
    }
    const result = {
      numRows,
      argmax: words(this.argmax, numRows).slice(),
      candidateIds,
      candidateLogits,
      logSumExp: new Float32Array(bytes, this.logSumExp.byteOffset, numCandidates > 0 ? numRows : 0).slice(),
    };
    this.#staging.unmap();
    return result;
  }
}
