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
