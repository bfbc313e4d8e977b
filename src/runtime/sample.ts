/** From a step's logits to one token a sequence: asks the GPU for no more than the sampling needs. */
import type { Allowed, NextToken, RowResult, SampleRow, WorkerPool } from '../workers/pool.ts';
import type { SamplingParameters } from './api.ts';
import { type EngineError, fromErrorRecord } from './errors.ts';
import type { StepLogits } from './model-runner.ts';
import type { Sequence } from './sequence.ts';

/** A sequence that wants its next token, and which row of the step's logits is its own. */
export interface SampledSequence {
  readonly row: number;
  readonly sequence: Sequence;
  readonly sampling: SamplingParameters;
  readonly seed: number;
  /** Bytes of the text so far that are not whole UTF-8 yet. */
  readonly pending: Uint8Array;
  /** Absent: any token may be chosen. */
  readonly allowed?: Pick<Allowed, 'mask' | 'mayEnd'> | undefined;
  /** What comes next whatever the logits say; absent or empty: nothing is. */
  readonly forced?: readonly number[] | undefined;
  /** Whether a token will not do, so that another is to be drawn in its place. */
  readonly refuses?: ((token: SampledToken) => boolean) | undefined;
}

export type SampledToken = NextToken;

/** Candidates a row to ask of the runner: none when the GPU's argmax or whole rows do. */
export const candidatesFor = (samplings: readonly SamplingParameters[], maxCandidates: number): number =>
  samplings.some((sampling) => sourceOf(sampling) === 'candidates') ? maxCandidates : 0;

/** Where the next token comes from, at the least cost that is exact. */
const sourceOf = (sampling: SamplingParameters): 'argmax' | 'candidates' | 'logits' => {
  if (hasPenalties(sampling) || sampling.logitBias.length > 0) return 'logits';
  return sampling.temperature === 0 && sampling.topLogprobs === undefined ? 'argmax' : 'candidates';
};

const needsWholeRow = ({ sampling, forced = [] }: SampledSequence): boolean =>
  forced.length === 0 && sourceOf(sampling) === 'logits';

const hasPenalties = ({ repetitionPenalty, presencePenalty, frequencyPenalty }: SamplingParameters): boolean =>
  repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;

/** What a step's rows came to. */
export interface Sampled {
  readonly tokens: ReadonlyMap<Sequence, SampledToken>;
  /** Sequences for which there is no token to choose. */
  readonly failures: ReadonlyMap<Sequence, EngineError>;
}

/** One round trip to the pool; others for rows whose candidates were not enough, or whose tokens are refused. */
export const sampleTokens = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  logits: StepLogits,
  sequences: readonly SampledSequence[],
): Promise<Sampled> => {
  const sampled = await drawTokens(workers, logits, sequences);
  const refusing = sequences.filter(({ sequence, refuses, forced = [] }) => {
    const token = sampled.tokens.get(sequence);
    return token !== undefined && forced.length === 0 && refuses?.(token) === true;
  });
  if (refusing.length === 0) return sampled;
  const tokens = new Map(sampled.tokens);
  const rows = [...(await wholeRows(logits, refusing)).values()];
  const results = await workers.nextTokens(
    rows.map((row, index) => ({ ...row, refused: [tokens.get(refusing[index]!.sequence)!.tokenId] })),
  );
  for (const [index, result] of results.entries()) {
    const { sequence, refuses } = refusing[index]!;
    // Where nothing else is likely, the model means what it says.
    const other = 'alternatives' in result ? result.alternatives.find((token) => !refuses!(token)) : undefined;
    if (other !== undefined) tokens.set(sequence, other);
  }
  return { ...sampled, tokens };
};

const drawTokens = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  logits: StepLogits,
  sequences: readonly SampledSequence[],
): Promise<Sampled> => {
  const tokens = new Map<Sequence, SampledToken>();
  const failures = new Map<Sequence, EngineError>();
  if (sequences.length === 0) return { tokens, failures };
  const settle = (sequence: Sequence, result: Exclude<RowResult, { needsLogits: true }>): void => {
    if ('alternatives' in result) throw new Error('the sampler gave alternatives to nothing');
    if ('failure' in result) failures.set(sequence, fromErrorRecord(result.failure));
    else tokens.set(sequence, result);
  };
  const wanted = sequences.filter((sampled) => needsWholeRow(sampled));
  const rows = await wholeRows(logits, wanted);
  const results = await workers.nextTokens(sequences.map((sampled) => rows.get(sampled) ?? cheapRow(logits, sampled)));
  const unsettled: SampledSequence[] = [];
  for (const [index, result] of results.entries()) {
    if ('needsLogits' in result) unsettled.push(sequences[index]!);
    else settle(sequences[index]!.sequence, result);
  }
  if (unsettled.length === 0) return { tokens, failures };
  const wholes = await wholeRows(logits, unsettled);
  for (const [index, result] of (await workers.nextTokens([...wholes.values()])).entries()) {
    if ('needsLogits' in result) throw new Error('the sampler asked for logits that it was given');
    settle(unsettled[index]!.sequence, result);
  }
  return { tokens, failures };
};

const wholeRows = async (
  logits: StepLogits,
  sequences: readonly SampledSequence[],
): Promise<Map<SampledSequence, SampleRow>> => {
  const rows = new Map<SampledSequence, SampleRow>();
  if (sequences.length === 0) return rows;
  const whole = await logits.readLogits(sequences.map(({ row }) => row));
  const width = whole.length / sequences.length;
  for (const [index, sampled] of sequences.entries()) {
    // A slice, not a view: what crosses to a thread is cloned with its whole buffer.
    rows.set(sampled, rowFor(sampled, { kind: 'logits', logits: whole.slice(index * width, (index + 1) * width) }));
  }
  return rows;
};

const cheapRow = (logits: StepLogits, sampled: SampledSequence): SampleRow => {
  const { row, forced = [] } = sampled;
  if (forced.length > 0) return rowFor(sampled, { kind: 'forced', tokenIds: forced });
  if (sourceOf(sampled.sampling) === 'argmax') return rowFor(sampled, { kind: 'token', tokenId: logits.argmax[row]! });
  const width = logits.candidateIds.length / logits.numRows;
  return rowFor(sampled, {
    kind: 'candidates',
    ids: logits.candidateIds.slice(row * width, (row + 1) * width),
    logits: logits.candidateLogits.slice(row * width, (row + 1) * width),
    logSumExp: logits.logSumExp[row]!,
  });
};

const rowFor = (
  { sequence, sampling, seed, pending, allowed }: SampledSequence,
  source: SampleRow['source'],
): SampleRow => {
  const row = {
    source,
    sampling,
    seed,
    index: sequence.numGenerated,
    pending,
    ...(allowed ? { allowed: { mayEnd: allowed.mayEnd, ...(allowed.mask ? { mask: allowed.mask } : {}) } } : {}),
  };
  if (!hasPenalties(sampling)) return row;
  return {
    ...row,
    promptTokenIds: sequence.tokenIds.slice(0, sequence.numPromptTokens),
    generatedTokenIds: sequence.tokenIds.slice(sequence.numPromptTokens),
  };
};
