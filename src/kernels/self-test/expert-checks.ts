/** Checks of the kernels that send tokens to experts and bring them back. */
import type { GpuDevice } from '../device.ts';
import { bindExpertChoice } from '../expert-choice.ts';
import { bindExpertRoutes } from '../expert-routes.ts';
import { bindExpertSum } from '../expert-sum.ts';
import * as reference from '../reference.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, maxErrorOf, wordErrorOf } from './kernel-check.ts';

export interface ExpertShape {
  readonly numTokens: number;
  readonly numExperts: number;
  readonly expertsPerToken: number;
}

/** `hasTies`: router logits are whole numbers, so that many are equal. */
export const expertChoiceCheck = async (
  device: GpuDevice,
  shape: ExpertShape & { readonly sharesOf: 'chosen' | 'all'; readonly hasTies?: boolean },
): Promise<KernelCheck> => {
  const { numTokens, numExperts, expertsPerToken, sharesOf } = shape;
  const tensors = new CheckTensors(device);
  const random = tensors.randomFloats('f32', numTokens * numExperts, 4);
  const logits = shape.hasTies ? random.map(Math.round) : random;
  const expected = Array.from({ length: numTokens }, (_, token) =>
    reference.chooseExperts(logits.subarray(token * numExperts, (token + 1) * numExperts), expertsPerToken, sharesOf),
  );
  const experts = await tensors.zeros('u32', [numTokens, expertsPerToken]);
  const shares = await tensors.zeros('f32', [numTokens, expertsPerToken]);
  const logitsTensor = await tensors.floats('f32', [numTokens, numExperts], logits);
  const record = await bindExpertChoice(device, { logits: logitsTensor, experts, shares, sharesOf });
  return {
    record: (pass) => record(pass, numTokens),
    error: async () => {
      const ids = expected.flatMap((choice) => choice.experts);
      const values = expected.flatMap((choice) => choice.shares);
      return Math.max(await wordErrorOf(device, experts, ids), await errorOf(device, shares, values));
    },
    maxError: maxErrorOf('f32'),
    close: tensors.close,
  };
};

export const expertRoutesCheck = async (device: GpuDevice, shape: ExpertShape): Promise<KernelCheck> => {
  const { numTokens, numExperts, expertsPerToken } = shape;
  const tensors = new CheckTensors(device);
  const choice = Array.from({ length: numTokens * expertsPerToken }, () => Math.floor(tensors.random() * numExperts));
  const routes = await tensors.zeros('u32', [numExperts + 1 + choice.length]);
  const experts = await tensors.words([numTokens, expertsPerToken], choice);
  const record = await bindExpertRoutes(device, { experts, routes, numExperts });
  return {
    record: (pass) => record(pass, numTokens),
    error: () => wordErrorOf(device, routes, reference.expertRoutes(choice, numExperts)),
    maxError: 0,
    close: tensors.close,
  };
};

export const expertSumCheck = async (
  device: GpuDevice,
  shape: Omit<ExpertShape, 'numExperts'> & { readonly dim: number; readonly activations: FloatType },
): Promise<KernelCheck> => {
  const { numTokens, expertsPerToken, dim, activations } = shape;
  const tensors = new CheckTensors(device);
  const numRows = numTokens * expertsPerToken;
  const x = tensors.randomFloats(activations, numRows * dim);
  const shares = tensors.randomFloats('f32', numRows);
  const expected = Float64Array.from({ length: numTokens * dim }, (_, i) => {
    const firstRow = Math.floor(i / dim) * expertsPerToken;
    let sum = 0;
    for (let slot = 0; slot < expertsPerToken; slot++) {
      sum += shares[firstRow + slot]! * x[(firstRow + slot) * dim + (i % dim)]!;
    }
    return sum;
  });
  const y = await tensors.zeros(activations, [numTokens, dim]);
  const record = await bindExpertSum(device, {
    x: await tensors.floats(activations, [numRows, dim], x),
    shares: await tensors.floats('f32', [numTokens, expertsPerToken], shares),
    y,
  });
  return {
    record: (pass) => record(pass, numTokens),
    error: () => errorOf(device, y, expected),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};
