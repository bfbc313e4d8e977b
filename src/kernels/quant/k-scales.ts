/**
 * Scale and minimum, six bits each, of part `part` (0 to 7) of a Q4_K or Q5_K block, whose 12 bytes of them begin at `start`.
 * Source: ggml's `get_scale_min_k4`.
 */
export const kScaleAndMinimum = (bytes: Uint8Array, start: number, part: number): readonly [number, number] => {
  const scale = bytes[start + (part % 4)]!;
  const minimum = bytes[start + 4 + (part % 4)]!;
  if (part < 4) return [scale & 63, minimum & 63];
  const rest = bytes[start + 8 + (part % 4)]!;
  return [(rest & 15) | ((scale >> 6) << 4), (rest >> 4) | ((minimum >> 6) << 4)];
};

/** The inverse: eight scales and eight minima below 64 into 12 bytes. */
export const packKScales = (scales: readonly number[], minima: readonly number[], out: Uint8Array): void => {
  for (let i = 0; i < 4; i++) {
    const [upperScale, upperMinimum] = [scales[i + 4]!, minima[i + 4]!];
    out[i] = scales[i]! | ((upperScale >> 4) << 6);
    out[i + 4] = minima[i]! | ((upperMinimum >> 4) << 6);
    out[i + 8] = (upperScale & 15) | ((upperMinimum & 15) << 4);
  }
};
