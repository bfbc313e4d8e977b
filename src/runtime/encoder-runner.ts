/** Computes embeddings on the GPU: a batch of whole texts, one submit, no cache. */
import type { GpuDevice } from '../kernels/device.ts';
import { createTensor, type Tensor } from '../kernels/tensor.ts';
import { EngineError } from './errors.ts';
import type { EncoderArchitecture, EncoderConfig, EncoderPass } from './models/encoder.ts';
import { pooledRows } from './models/pooling.ts';
import type { WeightLoader } from './weights/load.ts';

export interface EncoderRunnerOptions {
  /** Most tokens a step; at least one text of full length. */
  readonly maxTokens: number;
  /** Most texts a step. */
  readonly maxSequences: number;
  readonly contextLength: number;
  readonly activations: 'f32' | 'f16';
}

/** Texts at most as long as the context. Calls to `embed` never overlap. */
export interface EmbeddingRunner {
  readonly limits: Pick<EncoderRunnerOptions, 'maxTokens' | 'maxSequences'>;
  readonly gpuBytes: number;
  /**
   * The sums of the rows that each text's embedding is made of, [hiddenSize] each.
   * @throws EngineError device_lost, internal: the whole step failed
   */
  embed(texts: readonly Uint32Array[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

interface RunnerParts {
  readonly device: GpuDevice;
  readonly config: EncoderConfig;
  readonly options: EncoderRunnerOptions;
  readonly state: EncoderState;
  readonly forward: EncoderPass;
  readonly pooled: Tensor;
}

/** What the kernels are told of a step. */
type EncoderState = Readonly<Record<'tokenIds' | 'positions' | 'spans' | 'segments', Tensor>>;

export class EncoderRunner implements EmbeddingRunner {
  readonly limits: EmbeddingRunner['limits'];
  readonly #parts: RunnerParts;
  #deviceLost: EngineError | undefined;
  #fault: string | undefined;

  private constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.limits = parts.options;
    void parts.device.lost.then((error) => {
      this.#deviceLost = error;
    });
    parts.device.device.onuncapturederror = (event) => {
      this.#fault ??= event.error.message;
    };
  }

  /** @throws EngineError out_of_memory, model_file_invalid, model_unsupported, shader_invalid */
  static async create(
    device: GpuDevice,
    architecture: EncoderArchitecture,
    config: EncoderConfig,
    weights: WeightLoader,
    options: EncoderRunnerOptions,
  ): Promise<EncoderRunner> {
    const { maxTokens, maxSequences, contextLength, activations } = options;
    const words = (shape: number[], label: string) => createTensor(device, 'u32', shape, label);
    const state = {
      tokenIds: await words([maxTokens], 'token ids'),
      positions: await words([maxTokens], 'positions'),
      spans: await words([maxTokens, 2], 'spans'),
      segments: await words([maxSequences, 2], 'segments'),
    };
    const pooled = await createTensor(device, 'f32', [maxSequences, config.hiddenSize], 'pooled rows');
    const shared = { device, weights, contextLength, maxTokens, activations };
    const forward = await architecture.build(config, { ...shared, ...state, pooled });
    return new EncoderRunner({ device, config, options, state, forward, pooled });
  }

  get gpuBytes(): number {
    return this.#parts.device.bytes;
  }

  async embed(texts: readonly Uint32Array[]): Promise<Float32Array[]> {
    const { device, config, forward, pooled } = this.#parts;
    if (this.#deviceLost) throw this.#deviceLost;
    const numTokens = this.#upload(texts);
    const encoder = device.device.createCommandEncoder({ label: 'embed' });
    const pass = encoder.beginComputePass();
    forward(pass, { numTokens, numSequences: texts.length });
    pass.end();
    device.device.queue.submit([encoder.finish()]);
    const { hiddenSize } = config;
    const sums = await this.#read(pooled, texts.length * hiddenSize);
    if (this.#fault !== undefined) throw new EngineError('internal', `the GPU reported: ${this.#takeFault()}`);
    return texts.map((_, index) => sums.slice(index * hiddenSize, (index + 1) * hiddenSize));
  }

  /** Drops the device as a driver's reset would: what follows must recover. For tests of that. */
  loseDevice(): void {
    this.#parts.device.device.destroy();
  }

  async close(): Promise<void> {
    this.#parts.device.close();
  }

  /** Queues the step's words, and returns how many tokens it has. */
  #upload(texts: readonly Uint32Array[]): number {
    const { device, config, options, state } = this.#parts;
    const numTokens = texts.reduce((sum, { length }) => sum + length, 0);
    if (numTokens > options.maxTokens || texts.length > options.maxSequences) {
      throw new EngineError('internal', `${texts.length} texts of ${numTokens} tokens do not fit a step`);
    }
    const tokenIds = new Uint32Array(numTokens);
    const positions = new Uint32Array(numTokens);
    const spans = new Uint32Array(2 * numTokens);
    const segments = new Uint32Array(2 * texts.length);
    let start = 0;
    for (const [index, text] of texts.entries()) {
      tokenIds.set(text, start);
      for (let position = 0; position < text.length; position++) {
        positions[start + position] = position;
        spans.set([start, start + text.length], 2 * (start + position));
      }
      const [first, count] = pooledRows(config.pooling, text.length);
      segments.set([start + first, count], 2 * index);
      start += text.length;
    }
    for (const [tensor, values] of [
      [state.tokenIds, tokenIds],
      [state.positions, positions],
      [state.spans, spans],
      [state.segments, segments],
    ] as const) {
      device.device.queue.writeBuffer(tensor.buffer, 0, values);
    }
    return numTokens;
  }

  async #read(tensor: Tensor, length: number): Promise<Float32Array> {
    const { device } = this.#parts;
    try {
      return new Float32Array(await device.read(tensor.buffer, tensor.byteOffset, length * 4));
    } catch (error) {
      // A mapping that fails is how a lost device shows first; give its own notice a moment to arrive.
      const notice = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100));
      throw this.#deviceLost ?? (await Promise.race([device.lost, notice])) ?? error;
    }
  }

  #takeFault(): string {
    const fault = this.#fault ?? '';
    this.#fault = undefined;
    return fault;
  }
}
