/** Chooses the next tokens of a step's sequences, with what is known of each before its logits are looked at. */
import type { WorkerPool } from '../workers/pool.ts';
import { type EngineError, toEngineError } from './errors.ts';
import type { StepLogits } from './model-runner.ts';
import type { Running } from './running.ts';
import { type Sampled, type SampledSequence, sampleTokens } from './sample.ts';
import type { Sequence } from './sequence.ts';

/** A request whose sequence this step computed to its end, and its row of the step's logits. */
export interface Candidate {
  readonly running: Running;
  readonly row: number;
}

export interface NextTokens extends Sampled {
  /** Nothing may follow their answers, and their vocabulary has no token that says so. */
  readonly over: readonly Running[];
}

export const nextTokens = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  logits: StepLogits,
  candidates: readonly Candidate[],
): Promise<NextTokens> => {
  const over: Running[] = [];
  const failures = new Map<Sequence, EngineError>();
  const sequences: SampledSequence[] = [];
  for (const { running, row } of candidates) {
    const { sequence, sampling, seed, pending } = running;
    try {
      const next = await running.next();
      if (next.isOver) over.push(running);
      else
        sequences.push({ row, sequence, sampling, seed, pending, refuses: (token) => running.refuses(token), ...next });
    } catch (error) {
      failures.set(sequence, toEngineError(error));
    }
  }
  const sampled = await sampleTokens(workers, logits, sequences);
  return { tokens: sampled.tokens, failures: new Map([...failures, ...sampled.failures]), over };
};
