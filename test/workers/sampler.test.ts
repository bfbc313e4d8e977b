import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { processLogits } from '../../src/workers/logits-processors.ts';
import { philox, uniform } from '../../src/workers/philox.ts';
import { argmax, bestTokens, logSumExp, sampleCandidates, sampleRow } from '../../src/workers/sampler.ts';

interface Distribution {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

/** The definition, word for word: sort everything, cut three times, renormalise, walk. */
const naiveSample = (logits: Float32Array, d: Distribution, u: number): number => {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  let kept = order.map((id) => ({ id, mass: Math.exp((logits[id]! - logits[order[0]!]!) / d.temperature) }));
  if (d.topK > 0) kept = kept.slice(0, d.topK);
  const total = kept.reduce((sum, token) => sum + token.mass, 0);
  const prefix = runningMass(kept).findIndex((mass) => mass >= d.topP * total);
  if (d.topP < 1 && prefix >= 0) kept = kept.slice(0, prefix + 1);
  kept = kept.filter((token, index) => index === 0 || token.mass >= d.minP);
  const mass = kept.reduce((sum, token) => sum + token.mass, 0);
  const chosen = runningMass(kept).findIndex((walked) => walked > u * mass);
  return kept.at(chosen)!.id;
};

const runningMass = (tokens: readonly { mass: number }[]): number[] => {
  let mass = 0;
  return tokens.map((token) => {
    mass += token.mass;
    return mass;
  });
};

const distribution = fc.record({
  temperature: fc.constantFrom(0.1, 0.5, 0.7, 1, 1.3, 2),
  topK: fc.constantFrom(0, 0, 1, 5, 40, 1000),
  topP: fc.constantFrom(1, 1, 0.95, 0.9, 0.5, 0.01),
  minP: fc.constantFrom(0, 0, 0.05, 0.3),
});
const row = fc
  .record({ seed: fc.nat(), size: fc.integer({ min: 1, max: 400 }), spread: fc.constantFrom(0.1, 1, 4, 12) })
  .map(({ seed, size, spread }) =>
    Float32Array.from(
      { length: size },
      (_, id) => spread * Math.log(uniform(seed, id) / (1.0001 - uniform(seed, id + size)) + 1e-9),
    ),
  );

const topCandidates = (logits: Float32Array, count: number) => {
  const ids = bestTokens(logits, Math.min(count, logits.length));
  return {
    ids,
    logits: ids.map((id) => logits[id]!),
    logSumExp: Math.fround(logSumExp(logits)),
    vocabularySize: logits.length,
  };
};

describe('philox', () => {
  test("gives Random123's known answers", () => {
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  });
  test('is uniform over [0, 1)', () => {
    const counts = new Array<number>(20).fill(0);
    for (let index = 0; index < 20_000; index++) counts[Math.floor(uniform(42, index) * 20)]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(43.8); // 19 degrees of freedom, p = 0.001; the seed is fixed
  });
});

describe('sampleRow', () => {
  test('draws what the definition draws', () => {
    fc.assert(
      fc.property(row, distribution, fc.nat(), (logits, d, seed) => {
        expect(sampleRow(logits, d, seed, 3)).toBe(naiveSample(logits, d, uniform(seed, 3)));
      }),
      { numRuns: 500, seed: 7 },
    );
  });
  test('is greedy at temperature 0, the lowest id first', () => {
    const logits = Float32Array.of(1, 3, 3, 2);
    expect(sampleRow(logits, { ...DEFAULT_SAMPLING, temperature: 0 }, 1, 0)).toBe(1);
    expect(argmax(logits)).toBe(1);
  });
  test('follows the softmax', () => {
    const logits = Float32Array.of(0, Math.log(2), Math.log(3), Math.log(4));
    const counts = [0, 0, 0, 0];
    for (let index = 0; index < 10_000; index++) counts[sampleRow(logits, DEFAULT_SAMPLING, 5, index)]!++;
    const expected = [1000, 2000, 3000, 4000];
    const chiSquare = counts.reduce((sum, count, id) => sum + (count - expected[id]!) ** 2 / expected[id]!, 0);
    expect(chiSquare).toBeLessThan(16.3); // 3 degrees of freedom, p = 0.001
  });
});

describe('sampleCandidates', () => {
  test('draws what the whole row draws, or says that it cannot', () => {
    let settled = 0;
    fc.assert(
      fc.property(row, distribution, fc.nat(), fc.constantFrom(1, 8, 64), (logits, d, seed, count) => {
        const drawn = sampleCandidates(topCandidates(logits, count), d, seed, 0);
        if (drawn === undefined) return;
        settled++;
        expect(drawn).toBe(sampleRow(logits, d, seed, 0));
      }),
      { numRuns: 1000, seed: 11 },
    );
    expect(settled).toBeGreaterThan(500);
  });
  test('draws what the whole row would without the tokens that are not allowed, or says that it cannot', () => {
    const settled = { drawn: 0, asked: 0 };
    fc.assert(
      fc.property(
        fc.record({ logits: row, d: distribution, seed: fc.nat(), count: fc.constantFrom(1, 8, 64) }),
        fc.constantFrom(1, 2, 3, 10),
        ({ logits, d, seed, count }, oneIn) => {
          const isAllowed = (id: number) => (id * 7 + seed) % 10 < 10 / oneIn;
          const masked = logits.map((logit, id) => (isAllowed(id) ? logit : Number.NEGATIVE_INFINITY));
          if (!masked.some(Number.isFinite)) return;
          const drawn = sampleCandidates(topCandidates(logits, count), d, seed, 0, isAllowed);
          settled[drawn === undefined ? 'asked' : 'drawn']++;
          if (drawn !== undefined) expect(drawn).toBe(sampleRow(masked, d, seed, 0));
        },
      ),
      { numRuns: 2000, seed: 12 },
    );
    expect(Math.min(settled.drawn, settled.asked)).toBeGreaterThan(300);
  });
  test('suffices for a peaked row without any cut', () => {
    const logits = Float32Array.from({ length: 5000 }, (_, id) => (id === 77 ? 20 : 0));
    expect(sampleCandidates(topCandidates(logits, 64), DEFAULT_SAMPLING, 9, 0)).toBe(77);
  });
  test('asks for the row when the draw falls beyond the candidates', () => {
    const logits = new Float32Array(5000);
    expect(sampleCandidates(topCandidates(logits, 64), DEFAULT_SAMPLING, 9, 0)).toBeUndefined();
  });
});

describe('processLogits', () => {
  const sampling = { ...DEFAULT_SAMPLING, repetitionPenalty: 2, presencePenalty: 0.5, frequencyPenalty: 0.25 };
  test('penalises prompt and answer once by repetition, the answer alone by presence and frequency', () => {
    const logits = Float32Array.of(4, -4, 4, 4);
    processLogits(logits, sampling, [0, 1], [2, 2, 1]);
    expect([...logits]).toEqual([2, -8 - 0.5 - 0.25, 2 - 0.5 - 0.5, 4]);
  });
  test('adds biases and ignores ids outside the vocabulary', () => {
    const logits = Float32Array.of(0, 0);
    processLogits(
      logits,
      {
        ...DEFAULT_SAMPLING,
        logitBias: [
          [1, -100],
          [9, 5],
        ],
      },
      [],
      [7],
    );
    expect([...logits]).toEqual([0, -100]);
  });
});
