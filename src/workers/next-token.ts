/** One sequence's share of a step, on the CPU: choose its next token, say its text and its log-probabilities. */
import type { ChosenLogprob, SamplingParameters, TokenLogprob } from '../runtime/api.ts';
import { EngineError, type ErrorRecord, toErrorRecord } from '../runtime/errors.ts';
import { detokenize } from './detokenizer.ts';
import { type AllowedAmong, type AllowedTokens, isAllowed } from './grammar/answer-format.ts';
import { changesLogits, processLogits } from './logits-processors.ts';
import { argmax, bestTokens, logSumExp, sampleCandidates, sampleRow } from './sampler.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';
import { tokenBytes } from './tokenizer/token-bytes.ts';

/** What is known of a row of logits. */
export type LogitsSource =
  /** Already chosen: the row's argmax. */
  | { readonly kind: 'token'; readonly tokenId: number }
  /** What comes next whatever the row says: at least one token. */
  | { readonly kind: 'forced'; readonly tokenIds: readonly number[] }
  /** The best tokens, greatest logit first, and the log of the whole row's Σ exp. */
  | {
      readonly kind: 'candidates';
      readonly ids: Uint32Array;
      readonly logits: Float32Array;
      readonly logSumExp: number;
    }
  /** [vocabularySize]. Handed over: the caller's array is empty afterwards. */
  | { readonly kind: 'logits'; readonly logits: Float32Array };

/** A sequence that wants its next token. */
export interface SampleRow {
  readonly source: LogitsSource;
  readonly sampling: SamplingParameters;
  readonly seed: number;
  /** The wanted token's place among the generated ones, from 0. */
  readonly index: number;
  /** What the last result's `pending` was. */
  readonly pending: Uint8Array;
  /** Only the best tokens are wanted, so that somebody can say which of them are allowed. Needs the whole row. */
  readonly isAsked?: true;
  /** Absent: any token may be chosen. */
  readonly allowed?: AllowedTokens | AllowedAmong;
  /** Tokens that were drawn and do not do: what would have been drawn without them is wanted. Needs the whole row. */
  readonly refused?: readonly number[];
  /** Both needed where penalties are on. */
  readonly promptTokenIds?: Uint32Array;
  readonly generatedTokenIds?: Uint32Array;
}

export interface NextToken {
  readonly tokenId: number;
  /** Whole characters that the token completes; none for a control token. */
  readonly text: string;
  /** Bytes that begin a character. */
  readonly pending: Uint8Array;
  readonly endOfTurn: boolean;
  readonly logprobs?: ChosenLogprob;
  /** Tokens that were forced behind this one. */
  readonly followers?: readonly NextToken[];
}

export type RowResult =
  | NextToken
  /** What is known does not determine the token: ask again with the whole row, or with all that is allowed. */
  | { readonly needsLogits: true }
  /** What `isAsked` asked for. */
  | { readonly best: readonly number[] }
  /** In place of refused tokens, in the order in which they would be drawn, each without those before it. */
  | { readonly alternatives: readonly NextToken[] }
  /** This row has no token to choose; its neighbours are not to blame. */
  | { readonly failure: ErrorRecord };

const NO_BYTES = new Uint8Array();
/** What the kernels write for NaN and −∞ among the candidates. */
const NO_LOGIT = -1e30;
/** An alternative's draw must not follow from the one before it. */
const NEXT_DRAW = 0x9e3779b9;
/** Tokens of a whole row that are looked up. */
const MAX_ASKED = 64;
/** Tokens that are offered in place of a refused one: who has no use for them did not slip. */
const MAX_ALTERNATIVES = 16;
/** In nats. A token so far below the best one is none that the model would have chosen instead. */
const MAX_ALTERNATIVE_GAP = 20;

interface Choice {
  readonly tokenId: number;
  readonly logprobs?: ChosenLogprob;
}

/** @param vocabularySize the length of a row of logits; at least the number of tokens */
export const createNextToken = (
  definition: TokenizerDefinition,
  vocabularySize: number,
): ((row: SampleRow) => RowResult) => {
  const { bytesOf, isControl } = tokenBytes(definition);
  const endTokenIds = new Set(definition.endTokenIds);

  const logprob = (tokenId: number, logit: number, logMass: number): TokenLogprob => ({
    tokenId,
    bytes: bytesOf(tokenId),
    logprob: logit - logMass,
  });

  /** The row as it is sampled from, and how what is chosen is said. */
  const prepare = (row: SampleRow, logits: Float32Array): ((tokenId: number) => Choice) => {
    const { sampling, promptTokenIds = [], generatedTokenIds = [] } = row;
    const { topLogprobs } = sampling;
    const isChanged = changesLogits(sampling) || row.allowed !== undefined || row.refused !== undefined;
    // Log-probabilities are those of the unmodified distribution.
    const original = topLogprobs !== undefined && isChanged ? logits.slice() : logits;
    if (changesLogits(sampling)) processLogits(logits, sampling, promptTokenIds, generatedTokenIds);
    // Before the best ones are cut out: what remains is sampled exactly as if the others did not exist.
    if (row.allowed && 'mayEnd' in row.allowed) forbidOthers(logits, row.allowed);
    if (topLogprobs === undefined) return (tokenId) => ({ tokenId });
    const logMass = logSumExp(original);
    const top = bestTokens(original, topLogprobs).map((id) => logprob(id, original[id]!, logMass));
    return (tokenId) => ({ tokenId, logprobs: { ...logprob(tokenId, original[tokenId]!, logMass), top } });
  };

  const fromLogits = (row: SampleRow, logits: Float32Array): Choice => {
    const { sampling, seed, index } = row;
    const say = prepare(row, logits);
    const tokenId = sampleRow(logits, sampling, seed, index);
    if (!Number.isFinite(logits[tokenId])) throw brokenLogits(logits[tokenId]);
    return say(tokenId);
  };

  /** From the best of a row's tokens, where it is not known of others whether they are allowed. */
  const fromBest = (row: SampleRow, logits: Float32Array): Choice | undefined => {
    const say = prepare(row, logits);
    const { sampling, seed, index } = row;
    const ids = bestTokens(logits, MAX_ASKED);
    const candidates = { ids, logits: ids.map((id) => logits[id]!), logSumExp: logSumExp(logits), vocabularySize };
    if (!Number.isFinite(candidates.logits[0])) throw brokenLogits(candidates.logits[0]);
    const tokenId = sampleCandidates(candidates, sampling, seed, index, mayBe(row.allowed));
    return tokenId === undefined ? undefined : say(tokenId);
  };

  const best = (row: SampleRow, logits: Float32Array): readonly number[] => {
    prepare(row, logits);
    return bestTokens(logits, MAX_ASKED);
  };

  const alternatives = (row: SampleRow, logits: Float32Array, refused: readonly number[]): Choice[] => {
    const { sampling, seed, index } = row;
    const say = prepare(row, logits);
    const floor = logits[argmax(logits)]! - MAX_ALTERNATIVE_GAP;
    for (const id of refused) logits[id] = Number.NEGATIVE_INFINITY;
    const choices: Choice[] = [];
    while (choices.length < MAX_ALTERNATIVES) {
      const tokenId = sampleRow(logits, sampling, seed ^ Math.imul(NEXT_DRAW, choices.length + 1), index);
      if (!(logits[tokenId]! >= floor)) break;
      choices.push(say(tokenId));
      logits[tokenId] = Number.NEGATIVE_INFINITY;
    }
    return choices;
  };

  const forbidOthers = (logits: Float32Array, { mask, mayEnd }: AllowedTokens): void => {
    if (mask === undefined) {
      if (!mayEnd) for (const id of endTokenIds) logits[id] = Number.NEGATIVE_INFINITY;
      return;
    }
    for (let first = 0; first < logits.length; first += 32) {
      const word = mask[first >> 5] ?? 0;
      if (word === -1) continue;
      const end = Math.min(first + 32, logits.length);
      for (let id = first; id < end; id++) if ((word & (1 << (id & 31))) === 0) logits[id] = Number.NEGATIVE_INFINITY;
    }
  };

  /** Undefined: any token may be chosen. */
  const mayBe = (allowed: SampleRow['allowed']): ((tokenId: number) => boolean) | undefined => {
    if (allowed === undefined || ('mayEnd' in allowed && allowed.mask === undefined && allowed.mayEnd))
      return undefined;
    return (tokenId) => isAllowed(allowed, tokenId, endTokenIds.has(tokenId));
  };

  const fromCandidates = (row: SampleRow, source: LogitsSource & { kind: 'candidates' }): Choice | undefined => {
    const { sampling, seed, index } = row;
    const { ids, logits, logSumExp: logMass } = source;
    if (changesLogits(sampling) || (sampling.topLogprobs ?? 0) > ids.length || ids.length === 0) return undefined;
    const best = logits[0]! > NO_LOGIT ? logits[0] : Number.NaN;
    if (!Number.isFinite(best)) throw brokenLogits(best);
    const candidates = { ids, logits, logSumExp: logMass, vocabularySize };
    const tokenId = sampleCandidates(candidates, sampling, seed, index, mayBe(row.allowed));
    if (tokenId === undefined || sampling.topLogprobs === undefined)
      return tokenId === undefined ? undefined : { tokenId };
    const top = Array.from(ids.subarray(0, sampling.topLogprobs), (id, rank) => logprob(id, logits[rank]!, logMass));
    return { tokenId, logprobs: { ...logprob(tokenId, logits[ids.indexOf(tokenId)]!, logMass), top } };
  };

  const choose = (row: SampleRow): Choice | undefined => {
    const { source, sampling, allowed } = row;
    if (source.kind === 'forced') throw new Error('what is forced is not chosen');
    if (source.kind === 'candidates') return fromCandidates(row, source);
    if (source.kind === 'logits')
      return allowed && 'among' in allowed ? fromBest(row, source.logits) : fromLogits(row, source.logits);
    const isEnough = sampling.temperature === 0 && sampling.topLogprobs === undefined && !changesLogits(sampling);
    if (!isEnough) return undefined;
    if (source.tokenId >= vocabularySize) throw brokenLogits(Number.NaN);
    // The best token of a row is also the best of those that are allowed, if it is one of them.
    return mayBe(allowed)?.(source.tokenId) === false ? undefined : { tokenId: source.tokenId };
  };

  const written = ({ tokenId, logprobs }: Choice, pending: Uint8Array): NextToken => ({
    tokenId,
    ...(logprobs ? { logprobs } : {}),
    ...detokenize(pending, isControl(tokenId) ? NO_BYTES : bytesOf(tokenId)),
    endOfTurn: endTokenIds.has(tokenId),
  });

  const forced = (tokenIds: readonly number[], pending: Uint8Array): NextToken => {
    const tokens: NextToken[] = [];
    for (const tokenId of tokenIds) tokens.push(written({ tokenId }, tokens.at(-1)?.pending ?? pending));
    const [first, ...followers] = tokens;
    if (first === undefined) throw new Error('no token is forced');
    return { ...first, followers };
  };

  const nextToken = (row: SampleRow): RowResult => {
    const { source, refused, isAsked, pending } = row;
    if (source.kind === 'forced') return forced(source.tokenIds, pending);
    if (isAsked && source.kind === 'logits') return { best: best(row, source.logits) };
    if (refused && source.kind === 'logits')
      return { alternatives: alternatives(row, source.logits, refused).map((choice) => written(choice, pending)) };
    const choice = choose(row);
    return choice === undefined ? { needsLogits: true } : written(choice, pending);
  };

  return (row) => {
    try {
      return nextToken(row);
    } catch (error) {
      if (error instanceof EngineError) return { failure: toErrorRecord(error) };
      throw error;
    }
  };
};

const brokenLogits = (logit: number | undefined): EngineError =>
  new EngineError(
    'internal',
    `the best logit is ${logit}: the weights, the device or an extreme penalty or bias are at fault`,
  );
