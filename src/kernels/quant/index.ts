/** The list of weight formats. A new format is one file here, one in shaders/quant, and one line below. */
import { f16 } from './f16.ts';
import { f32 } from './f32.ts';
import { q4_0 } from './q4-0.ts';
import { q6_k } from './q6-k.ts';
import { q8_0 } from './q8-0.ts';
import type { QuantFormat } from './quant-format.ts';

export const QUANT_FORMATS: readonly QuantFormat[] = [f32, f16, q8_0, q4_0, q6_k];

/** The format of a GGUF tensor type by its name there (`Q8_0`), if there is one. */
export const quantFormatOf = (ggmlType: string): QuantFormat | undefined =>
  QUANT_FORMATS.find((format) => format.ggmlType === ggmlType);
