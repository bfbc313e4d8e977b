/** From a step's logits to one token a sequence: asks the GPU for no more than the sampling needs. */
import type { AllowedTokens, NextToken, SampleRow, WorkerPool } from '../workers/pool.ts';
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
  /** Absent: any token may be chosen, unless `lookup` says otherwise. */
  readonly allowed?: AllowedTokens | undefined;
  /** Where tokens are looked up that may be chosen, when it is not known of all. */
  readonly lookup?: TokenLookup | undefined;
  /** What comes next whatever the logits say; absent or empty: nothing is. */
  readonly forced?: readonly number[] | undefined;
  /** Whether a token will not do, so that another is to be drawn in its place. */
  readonly refuses?: ((token: SampledToken) => boolean) | undefined;
}

export interface TokenLookup {
  among(tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>>;
  /** May take long. */
  tokens(): Promise<AllowedTokens>;
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

/** How much of a row is looked at: what the device chose, the best tokens of all, or all of them. */
type Depth = 'chosen' | 'best' | 'all';

interface Draw {
  readonly sampled: SampledSequence;
  readonly depth: Depth;
}

const drawTokens = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  logits: StepLogits,
  sequences: readonly SampledSequence[],
): Promise<Sampled> => {
  const tokens = new Map<Sequence, SampledToken>();
  const failures = new Map<Sequence, EngineError>();
  let draws = sequences.map((sampled): Draw => ({ sampled, depth: firstDepth(sampled) }));
  while (draws.length > 0) {
    const results = await workers.nextTokens(await rowsFor(workers, logits, draws));
    const deeper: Draw[] = [];
    for (const [index, result] of results.entries()) {
      const { sampled, depth } = draws[index]!;
      if ('failure' in result) failures.set(sampled.sequence, fromErrorRecord(result.failure));
      else if ('tokenId' in result) tokens.set(sampled.sequence, result);
      else if (depth === 'all') throw new Error('the sampler asked for more than the whole row');
      else deeper.push({ sampled, depth: depth === 'chosen' && sampled.lookup ? 'best' : 'all' });
    }
    draws = deeper;
  }
  return { tokens, failures };
};

const firstDepth = ({ sampling, forced = [], lookup }: SampledSequence): Depth => {
  if (forced.length > 0 || sourceOf(sampling) !== 'logits') return 'chosen';
  return lookup ? 'best' : 'all';
};

const rowsFor = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  logits: StepLogits,
  draws: readonly Draw[],
): Promise<SampleRow[]> => {
  const whole = await wholeRows(
    logits,
    draws.flatMap(({ sampled, depth }) => (depth === 'chosen' ? [] : [sampled])),
  );
  const rows = draws.map(({ sampled }) => whole.get(sampled) ?? cheapRow(logits, sampled));
  const best = await bestTokenIds(
    workers,
    rows.filter((_, index) => draws[index]!.depth === 'best'),
  );
  const allowed = await Promise.all(
    draws.map(async ({ sampled, depth }, index) => {
      const row = rows[index]!;
      if (sampled.lookup === undefined || row.source.kind === 'forced') return sampled.allowed;
      if (depth === 'all') return sampled.lookup.tokens();
      return { among: await sampled.lookup.among(best.get(row) ?? listed(row.source)) };
    }),
  );
  return rows.map((row, index) => ({ ...row, ...(allowed[index] ? { allowed: allowed[index] } : {}) }));
};

const listed = (source: SampleRow['source']): ArrayLike<number> => {
  if (source.kind === 'token') return [source.tokenId];
  return source.kind === 'candidates' ? source.ids : [];
};

/** The best tokens of whole rows, which stay good for another look. */
const bestTokenIds = async (
  workers: Pick<WorkerPool, 'nextTokens'>,
  rows: readonly SampleRow[],
): Promise<ReadonlyMap<SampleRow, readonly number[]>> => {
  const copies = rows.map((row): SampleRow => {
    const { source } = row;
    return {
      ...row,
      source: source.kind === 'logits' ? { ...source, logits: source.logits.slice() } : source,
      isAsked: true,
    };
  });
  const results = await workers.nextTokens(copies);
  return new Map(results.map((result, index) => [rows[index]!, 'best' in result ? result.best : []]));
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

const rowFor = ({ sequence, sampling, seed, pending }: SampledSequence, source: SampleRow['source']): SampleRow => {
  const row = { source, sampling, seed, index: sequence.numGenerated, pending };
  if (!hasPenalties(sampling)) return row;
  return {
    ...row,
    promptTokenIds: sequence.tokenIds.slice(0, sequence.numPromptTokens),
    generatedTokenIds: sequence.tokenIds.slice(sequence.numPromptTokens),
  };
};
