/** Matrix product and embedding gather in float64 loops: the readable definition that kernels are compared with. */

/** y[r, n] = Σₖ weight[n, k] · x[r, k]. x: [numRows, columns]; weight: [rows, columns]; result: [numRows, rows]. */
export const matmul = (
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  numRows: number,
  rows: number,
  columns: number,
): Float64Array => {
  const y = new Float64Array(numRows * rows);
  for (let r = 0; r < numRows; r++) {
    for (let n = 0; n < rows; n++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += weight[n * columns + k]! * x[r * columns + k]!;
      y[r * rows + n] = sum;
    }
  }
  return y;
};

/** y[r] = scale · weight[ids[r]], zeros for an id beyond the vocabulary. weight: [vocabularySize, columns]. */
export const embedding = (
  weight: ArrayLike<number>,
  ids: ArrayLike<number>,
  vocabularySize: number,
  columns: number,
  scale = 1,
): Float64Array =>
  Float64Array.from({ length: ids.length * columns }, (_, i) => {
    const id = ids[Math.floor(i / columns)]!;
    return id < vocabularySize ? scale * weight[id * columns + (i % columns)]! : 0;
  });
