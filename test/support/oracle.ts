/** Reads reference logits ("LGT1", u32 n, u32 vocabularySize, i32 ids[n], f32 logits[n][vocabularySize]) and compares. */
import { readFileSync } from 'node:fs';

export interface Oracle {
  readonly ids: readonly number[];
  readonly vocabularySize: number;
  readonly logits: Float32Array;
}

export const readOracle = (path: string): Oracle => {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 4) !== 'LGT1') throw new Error(`${path}: not a logits file`);
  const n = bytes.readUInt32LE(4);
  const vocabularySize = bytes.readUInt32LE(8);
  const ids = Array.from({ length: n }, (_, index) => bytes.readInt32LE(12 + 4 * index));
  const start = 12 + 4 * n;
  const logits = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
  return { ids, vocabularySize, logits };
};

/** Normalised mean squared error: Σ(a − e)² / Σe². */
export const nmse = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  let error = 0;
  let power = 0;
  for (let index = 0; index < expected.length; index++) {
    error += (actual[index]! - expected[index]!) ** 2;
    power += expected[index]! ** 2;
  }
  return error / power;
};

export const argmaxOf = (row: ArrayLike<number>): number => {
  let best = 0;
  for (let index = 1; index < row.length; index++) if (row[index]! > row[best]!) best = index;
  return best;
};
