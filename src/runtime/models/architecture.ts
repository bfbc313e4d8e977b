/** What a model architecture must provide, and what it gets to work with. */
import type { GpuDevice } from '../../kernels/device.ts';
import type { KvFormat } from '../../kernels/kv-format.ts';
import type { ElementType, Tensor } from '../../kernels/tensor.ts';
import type { StepShape, StepState } from '../step-state.ts';
import type { WeightLoader } from '../weights/load.ts';
import type { ModelFile } from '../weights/model-file.ts';

/** What every decoder-only transformer says of itself. Lengths in tokens or elements. */
export interface ModelConfig {
  /** Context the model was trained for. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly feedForwardSize: number;
  /** One a layer. `window`: most keys a query sees, its own included; absent: all. */
  readonly layers: readonly { readonly window?: number }[];
}

/** K and V of one layer, as createKvCache makes them; layers of other groups may share them. */
export interface LayerCache {
  readonly format: KvFormat;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Which of the step's block tables the layer goes by. */
  readonly group: number;
}

export interface ForwardContext {
  readonly device: GpuDevice;
  readonly weights: WeightLoader;
  readonly state: StepState;
  readonly caches: readonly LayerCache[];
  readonly blockSize: number;
  readonly maxTokens: number;
  readonly maxSequences: number;
  readonly maxRows: number;
  /** Most tokens a sequence may have; tables are made this long. */
  readonly contextLength: number;
  /** Type of the activations between kernels; the residual stream is always f32. */
  readonly activations: Extract<ElementType, 'f32' | 'f16'>;
  /** f32 [maxRows, vocabularySize]: where the forward pass leaves its logits. */
  readonly logits: Tensor;
  /** f32 [maxSequences, hiddenSize]: where it leaves the sums of the final states of `state.segments`. */
  readonly pooled: Tensor;
}

/** Records one step's kernels into the pass. */
export type ForwardPass = (pass: GPUComputePassEncoder, shape: StepShape) => void;

export interface Architecture<Config extends ModelConfig = ModelConfig> {
  /** `general.architecture` in GGUF. */
  readonly name: string;
  /** @throws EngineError model_file_invalid or model_unsupported, naming the field */
  readConfig(file: ModelFile): Config;
  /** Loads the weights, compiles the kernels and prebinds every dispatch. */
  build(config: Config, context: ForwardContext): Promise<ForwardPass>;
  /** The same on the CPU, slowly and in float64: logits of every position, [ids.length · vocabularySize]. */
  reference(config: Config, file: ModelFile, ids: readonly number[], servedContext: number): Promise<Float64Array>;
  /** Tensors that a model of this architecture may have and a forward pass may do without. */
  readonly unusedTensors?: readonly string[];
}
