/** The feed-forward block of a mixture of experts: router, routing, and the experts' products by grouped kernels. */
import { bindExpertChoice } from '../../kernels/expert-choice.ts';
import { bindExpertRoutes } from '../../kernels/expert-routes.ts';
import { bindExpertSum } from '../../kernels/expert-sum.ts';
import { bindGlu } from '../../kernels/glu.ts';
import { bindMatmul, type ExpertRouting } from '../../kernels/matmul.ts';
import { createTensor, type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import type { ForwardContext } from './architecture.ts';
import type { DecoderConfig } from './decoder-config.ts';
import { type Activations, bindProjection, type Recorder } from './layers.ts';

/** Buffers that all layers share. A row of the last three is one token at one of its experts. */
interface ExpertActivations {
  readonly logits: Tensor;
  readonly experts: Tensor;
  readonly shares: Tensor;
  readonly routes: Tensor;
  readonly gateUp: Tensor;
  readonly gated: Tensor;
  readonly narrowed: Tensor;
}

/** Makes the blocks of one model: `expertConfig` must be set. */
export class ExpertBlocks {
  readonly #config: DecoderConfig;
  readonly #context: ForwardContext;
  readonly #expertConfig: NonNullable<DecoderConfig['experts']>;
  #shared: Promise<ExpertActivations> | undefined;

  constructor(config: DecoderConfig, context: ForwardContext, expertConfig: NonNullable<DecoderConfig['experts']>) {
    this.#config = config;
    this.#context = context;
    this.#expertConfig = expertConfig;
  }

  /** From `buffers.normed` to `buffers.delta`. */
  async bind(buffers: Pick<Activations, 'normed' | 'delta'>, layer: number): Promise<Recorder> {
    this.#shared ??= this.#createActivations();
    const shared = await this.#shared;
    const { device } = this.#context;
    const { numExperts, expertsPerToken, feedForwardSize, sharesOf } = this.#expertConfig;
    const { logits, experts, shares, routes, gateUp, gated, narrowed } = shared;
    const { normed, delta } = buffers;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    const routing = { routes, numExperts, expertsPerToken };
    const spread: ExpertRouting = { ...routing, xRows: 'per-token' };
    const within: ExpertRouting = { ...routing, xRows: 'per-expert' };
    const router = await bindProjection(
      this.#context,
      [{ name: name('ffn_gate_inp'), rows: numExperts }],
      normed,
      logits,
    );
    const steps = [
      router,
      await bindExpertChoice(device, { logits, experts, shares, sharesOf }),
      await bindExpertRoutes(device, { experts, routes, numExperts }),
      await this.#product(name('ffn_gate_exps'), normed, gateUp, spread),
      await this.#product(name('ffn_up_exps'), normed, gateUp, spread, feedForwardSize),
    ];
    const glu = await bindGlu(device, { gateUp, y: gated, activation: this.#config.activation });
    const narrow = await this.#product(name('ffn_down_exps'), gated, narrowed, within);
    const sum = await bindExpertSum(device, { x: narrowed, shares, y: delta });
    return (pass, { numTokens }) => {
      for (const step of steps) step(pass, numTokens);
      glu(pass, numTokens * expertsPerToken);
      narrow(pass, numTokens);
      sum(pass, numTokens);
    };
  }

  /** y from `yColumn` on = what each row's expert makes of x. */
  async #product(name: string, x: Tensor, y: Tensor, routing: ExpertRouting, yColumn = 0) {
    const { device, weights } = this.#context;
    const { numExperts, feedForwardSize } = this.#expertConfig;
    const outputs = name.includes('ffn_down') ? this.#config.hiddenSize : feedForwardSize;
    const rows = numExperts * outputs;
    const weight = await weights.matrix([{ name, rows }], x.shape[1]!);
    const biasName = name.replace(/weight$/, 'bias');
    const bias = weights.has(biasName)
      ? { bias: await uploadTensor(device, 'f32', [rows], await weights.values(biasName, rows), biasName) }
      : {};
    return bindMatmul(device, { x, weight, y, yColumn, routing, ...bias });
  }

  async #createActivations(): Promise<ExpertActivations> {
    const { device, maxTokens, activations } = this.#context;
    const { numExperts, expertsPerToken, feedForwardSize } = this.#expertConfig;
    const numRows = maxTokens * expertsPerToken;
    const rows = (width: number, label: string) => createTensor(device, activations, [numRows, width], label);
    return {
      logits: await createTensor(device, 'f32', [maxTokens, numExperts], 'router logits'),
      experts: await createTensor(device, 'u32', [maxTokens, expertsPerToken], 'experts'),
      shares: await createTensor(device, 'f32', [maxTokens, expertsPerToken], 'shares of experts'),
      routes: await createTensor(device, 'u32', [numExperts + 1 + numRows], 'routes to experts'),
      gateUp: await rows(2 * feedForwardSize, 'gate and up of experts'),
      gated: await rows(feedForwardSize, 'gated of experts'),
      narrowed: await rows(this.#config.hiddenSize, 'output of experts'),
    };
  }
}
