import { describe, expect, test } from 'vitest';
import type { SamplingParameters } from '../../src/runtime/api.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { createNextToken, type LogitsSource, type SampleRow } from '../../src/workers/next-token.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from '../../src/workers/tokenizer/definition.ts';

const definition: VocabularyDefinition = {
  model: 'llama',
  tokens: ['<unk>', '<s>', '</s>', '<0xF0>', '<0x9F>', '<0x98>', '<0x80>', '▁a', '<think>'],
  tokenTypes: [2, 3, 3, 6, 6, 6, 6, TOKEN_TYPE.normal, TOKEN_TYPE.userDefined],
  endTokenIds: [2],
  addBos: true,
  addSpacePrefix: true,
};
const nextToken = createNextToken(definition, definition.tokens.length);

const row = (
  source: LogitsSource,
  sampling: Partial<SamplingParameters> = {},
  rest: Partial<SampleRow> = {},
): SampleRow => ({
  source,
  sampling: { ...DEFAULT_SAMPLING, ...sampling },
  seed: 1,
  index: 0,
  pending: new Uint8Array(),
  ...rest,
});
const token = (tokenId: number, pending: readonly number[] = []) =>
  nextToken(row({ kind: 'token', tokenId }, { temperature: 0 }, { pending: Uint8Array.from(pending) }));
const logits = (...values: number[]): LogitsSource => ({ kind: 'logits', logits: Float32Array.from(values) });
const ROW = [0, 0, 0, 1, 2, 3, 0, 5, 4];

describe('text', () => {
  test('is the piece with a real space', () => {
    expect(token(7)).toEqual({ tokenId: 7, text: ' a', pending: new Uint8Array(), endOfTurn: false });
  });
  test('comes when a character is complete', () => {
    expect(token(3)).toMatchObject({ text: '', pending: Uint8Array.of(0xf0) });
    expect(token(6, [0xf0, 0x9f, 0x98])).toMatchObject({ text: '😀', pending: new Uint8Array() });
  });
  test('is empty for control tokens, and there for tags', () => {
    expect(token(2)).toMatchObject({ text: '', endOfTurn: true });
    expect(token(1)).toMatchObject({ text: '', endOfTurn: false });
    expect(token(8)).toMatchObject({ text: '<think>' });
  });
});

describe('choice', () => {
  test('a given token does not do where the parameters ask for more', () => {
    for (const sampling of [
      { temperature: 1 },
      { temperature: 0, topLogprobs: 0 },
      { temperature: 0, logitBias: [[1, 2]] },
    ] as const) {
      expect(nextToken(row({ kind: 'token', tokenId: 7 }, sampling))).toEqual({ needsLogits: true });
    }
  });

  test('candidates do not do where logits are changed or more log-probabilities are asked for', () => {
    const candidates: LogitsSource = {
      kind: 'candidates',
      ids: Uint32Array.of(7, 8),
      logits: Float32Array.of(5, 4),
      logSumExp: 5.5,
    };
    expect(nextToken(row(candidates, { temperature: 0 }))).toMatchObject({ tokenId: 7 });
    for (const sampling of [{ repetitionPenalty: 1.1 }, { logitBias: [[1, 2]] }, { topLogprobs: 3 }] as const) {
      expect(nextToken(row(candidates, { temperature: 0, ...sampling }))).toEqual({ needsLogits: true });
    }
  });

  test('a bias moves the choice, and log-probabilities stay those of the unmodified row', () => {
    const result = nextToken(row(logits(...ROW), { temperature: 0, logitBias: [[4, 100]], topLogprobs: 2 }));
    const logMass = Math.log(ROW.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expect(result).toMatchObject({ tokenId: 4 });
    if (!('tokenId' in result) || !result.logprobs) throw new Error('no log-probabilities');
    expect(result.logprobs.logprob).toBeCloseTo(2 - logMass, 6);
    expect(result.logprobs.top.map(({ tokenId }) => tokenId)).toEqual([7, 8]);
    expect(result.logprobs.top[0]!.logprob).toBeCloseTo(5 - logMass, 6);
    expect(Buffer.from(result.logprobs.top[0]!.bytes).toString()).toBe(' a');
  });

  test('candidates and whole rows give the same log-probabilities', () => {
    const logMass = Math.log(ROW.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const candidates: LogitsSource = {
      kind: 'candidates',
      ids: Uint32Array.of(7, 8, 5),
      logits: Float32Array.of(5, 4, 3),
      logSumExp: logMass,
    };
    const sampling = { temperature: 0, topLogprobs: 3 };
    const [fromCandidates, fromRow] = [nextToken(row(candidates, sampling)), nextToken(row(logits(...ROW), sampling))];
    if (!('tokenId' in fromCandidates) || !('tokenId' in fromRow)) throw new Error('no token');
    const digits = (result: typeof fromRow) =>
      result.logprobs!.top.map(({ tokenId, logprob }) => [tokenId, logprob.toFixed(9)]);
    expect(digits(fromCandidates)).toEqual(digits(fromRow));
  });

  test('penalties look at the tokens so far', () => {
    const history = { promptTokenIds: Uint32Array.of(7), generatedTokenIds: Uint32Array.of(8, 8) };
    const choose = (sampling: Partial<SamplingParameters>) =>
      nextToken(row(logits(...ROW), { temperature: 0, ...sampling }, history));
    expect(choose({})).toMatchObject({ tokenId: 7 });
    expect(choose({ repetitionPenalty: 3 })).toMatchObject({ tokenId: 5 });
    expect(choose({ frequencyPenalty: 2, logitBias: [[7, -100]] })).toMatchObject({ tokenId: 5 });
    expect(choose({ presencePenalty: 0.5, logitBias: [[7, -100]] })).toMatchObject({ tokenId: 8 });
  });

  test('the same seed and index give the same token', () => {
    const draws = (seed: number) =>
      Array.from({ length: 40 }, (_, index) => nextToken(row(logits(...ROW.map(() => 0)), {}, { seed, index })));
    expect(draws(3)).toEqual(draws(3));
    expect(draws(3)).not.toEqual(draws(4));
  });

  test('logits that are no numbers are an error, not a token', () => {
    const result = nextToken(row(logits(...ROW.map(() => Number.NaN)), { temperature: 0 }));
    const failure = { code: 'internal', message: /logit is NaN/ };
    expect(result).toMatchObject({ failure });
    expect(token(0xffffffff)).toMatchObject({ failure });
    const ids = Uint32Array.of(0, 1);
    const candidates = { kind: 'candidates', ids, logits: new Float32Array(2).fill(-1e30), logSumExp: -1e30 } as const;
    expect(nextToken(row(candidates))).toMatchObject({ failure });
  });
});

describe('a mask', () => {
  const maskOf = (...ids: number[]) => Int32Array.of(ids.reduce((word, id) => word | (1 << id), 0));
  const ALLOWED = [3, 5, 8];
  const allowed = { mask: maskOf(...ALLOWED), mayEnd: false };
  const drawn = (
    sampling: Partial<SamplingParameters>,
    more: Partial<SampleRow>,
    count = 4000,
  ): Map<number, number> => {
    const shares = new Map<number, number>();
    for (let index = 0; index < count; index++) {
      const result = nextToken(row(logits(...ROW), { temperature: 1, ...sampling }, { index, ...more }));
      if (!('tokenId' in result)) throw new Error('no token');
      shares.set(result.tokenId, (shares.get(result.tokenId) ?? 0) + 1 / count);
    }
    return shares;
  };
  /** Softmax over these tokens alone, in float64. */
  const expected = (ids: readonly number[]) => {
    const total = ids.reduce((sum, id) => sum + Math.exp(ROW[id]!), 0);
    return ids.map((id) => [id, Math.exp(ROW[id]!) / total] as const);
  };
  const close = (shares: ReadonlyMap<number, number>, ids: readonly number[]): void => {
    expect([...shares.keys()].sort()).toEqual([...ids].sort());
    for (const [id, share] of expected(ids)) expect(Math.abs(shares.get(id)! - share)).toBeLessThan(0.03);
  };

  test('leaves the distribution of the tokens that it allows', () => {
    close(drawn({}, { allowed }), ALLOWED);
  });
  test('is applied before the best tokens are cut out', () => {
    // Of the whole row, tokens 7 and 8 are the best two; of what is allowed, 8 and 5.
    close(drawn({ topK: 2 }, { allowed }), [8, 5]);
    close(drawn({ topP: 0.9 }, { allowed }), [8, 5]);
    close(drawn({ minP: 0.3 }, { allowed }), [8, 5]);
  });
  test('lets no bias through', () => {
    const biased = nextToken(row(logits(...ROW), { temperature: 0, logitBias: [[7, 100]] }, { allowed }));
    expect(biased).toMatchObject({ tokenId: 8 });
  });
  test('that only forbids the end leaves the rest as it is', () => {
    close(drawn({}, { allowed: { mayEnd: false } }), [0, 1, 3, 4, 5, 6, 7, 8]);
  });
  test('asks for the whole row only where the best token is forbidden', () => {
    const best = (tokenId: number) => nextToken(row({ kind: 'token', tokenId }, { temperature: 0 }, { allowed }));
    expect(best(8)).toMatchObject({ tokenId: 8 });
    expect(best(7)).toEqual({ needsLogits: true });
  });
  test('leaves log-probabilities those of the unmodified distribution', () => {
    const result = nextToken(row(logits(...ROW), { temperature: 0, topLogprobs: 1 }, { allowed }));
    const mass = Math.log(ROW.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expect(result).toMatchObject({ tokenId: 8, logprobs: { top: [{ tokenId: 7 }] } });
    expect('logprobs' in result && result.logprobs?.logprob).toBeCloseTo(4 - mass, 5);
  });
});

test('forced tokens come at once, with the text of each', () => {
  const result = nextToken(row({ kind: 'forced', tokenIds: [3, 4, 5, 6, 7] }));
  expect(result).toMatchObject({ tokenId: 3, text: '' });
  const followers = 'followers' in result ? (result.followers ?? []) : [];
  expect(followers.map(({ text }) => text).join('')).toBe('😀 a');
});
