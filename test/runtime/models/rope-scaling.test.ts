/** Rotary scalings against the published formulas, written out in float64, at positions beyond the original context. */
import { expect, test } from 'vitest';
import { ropeTable } from '../../../src/kernels/rope.ts';
import {
  llama3FrequencyFactors,
  longRopeMagnitude,
  yarnFrequencyFactors,
  yarnMagnitude,
} from '../../../src/runtime/models/rope-scaling.ts';

const POSITIONS = [0, 1, 4095, 4096, 8192, 50_000, 131_071];

/** Cosine and sine of each pair as the table has them at a position, beside those of the given frequencies. */
const expectAngles = (
  rotaryDim: number,
  base: number,
  frequencyFactors: ArrayLike<number>,
  magnitude: number,
  frequencies: readonly number[],
): void => {
  const numPositions = POSITIONS.at(-1)! + 1;
  const table = ropeTable({ rotaryDim, numPositions, base, frequencyFactors, magnitude });
  for (const position of POSITIONS) {
    for (const [pair, frequency] of frequencies.entries()) {
      const at = (position * frequencies.length + pair) * 2;
      expect(table[at]).toBeCloseTo(magnitude * Math.cos(position * frequency), 6);
      expect(table[at + 1]).toBeCloseTo(magnitude * Math.sin(position * frequency), 6);
    }
  }
};

const plainFrequencies = (rotaryDim: number, base: number): number[] =>
  Array.from({ length: rotaryDim / 2 }, (_, pair) => base ** ((-2 * pair) / rotaryDim));

test.each([
  { rotaryDim: 64, base: 150_000, factor: 32, originalContext: 4096, truncates: false },
  { rotaryDim: 64, base: 150_000, factor: 32, originalContext: 4096, truncates: true },
  { rotaryDim: 128, base: 1_000_000, factor: 4, originalContext: 32_768, truncates: true },
])('YaRN, $rotaryDim elements, factor $factor, ends rounded: $truncates', (scaling) => {
  const { rotaryDim, base, factor, originalContext, truncates } = scaling;
  // Peng et al.: r(θ) = L θ / 2π turns; below β = 1 interpolated, above α = 32 kept. The reference code ramps by pair index.
  const indexOfTurns = (turns: number) =>
    (rotaryDim * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const round = (value: number, how: (value: number) => number) => (truncates ? how(value) : value);
  const low = Math.max(round(indexOfTurns(32), Math.floor), 0);
  const high = Math.min(round(indexOfTurns(1), Math.ceil), rotaryDim - 1);
  const frequencies = plainFrequencies(rotaryDim, base).map((frequency, pair) => {
    const interpolated = Math.min(1, Math.max(0, (pair - low) / (high - low)));
    return (frequency / factor) * interpolated + frequency * (1 - interpolated);
  });
  const magnitude = 0.1 * Math.log(factor) + 1;
  expect(yarnMagnitude(factor)).toBeCloseTo(magnitude, 12);
  expectAngles(rotaryDim, base, yarnFrequencyFactors(scaling), magnitude, frequencies);
});

test('Llama 3: long wavelengths are stretched, short ones kept, those between blended', () => {
  const [rotaryDim, base, factor, originalContext] = [128, 500_000, 8, 8192];
  const [lowFrequencyFactor, highFrequencyFactor] = [1, 4];
  const frequencies = plainFrequencies(rotaryDim, base).map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalContext / highFrequencyFactor) return frequency;
    if (wavelength > originalContext / lowFrequencyFactor) return frequency / factor;
    const smooth = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
  const scaling = { rotaryDim, base, factor, lowFrequencyFactor, highFrequencyFactor, originalContext };
  expectAngles(rotaryDim, base, llama3FrequencyFactors(scaling), 1, frequencies);
});

test('LongRoPE: frequencies are divided by the published factors, and the magnitude grows with the context', () => {
  const [rotaryDim, base] = [96, 10_000];
  const factors = Array.from({ length: rotaryDim / 2 }, (_, pair) => 1 + pair * 1.3);
  const frequencies = plainFrequencies(rotaryDim, base).map((frequency, pair) => frequency / factors[pair]!);
  const magnitude = Math.sqrt(1 + Math.log(131_072 / 4096) / Math.log(4096));
  expect(longRopeMagnitude(131_072 / 4096, 4096)).toBeCloseTo(magnitude, 12);
  expect(longRopeMagnitude(1, 4096)).toBe(1);
  expectAngles(rotaryDim, base, factors, magnitude, frequencies);
});
