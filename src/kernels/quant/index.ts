/** The list of weight formats. A new format is one file here, one in shaders/quant, and one line below. */
import { affine4Bf16, affine4F16, affine8Bf16, affine8F16 } from './affine.ts';
import { bf16 } from './bf16.ts';
import { f16 } from './f16.ts';
import { f32 } from './f32.ts';
import { fp8_e4m3 } from './fp8-e4m3.ts';
import { iq4_nl } from './iq4-nl.ts';
import { iq4_xs } from './iq4-xs.ts';
import { mxfp4, mxfp4Pairs } from './mxfp4.ts';
import { q2_k } from './q2-k.ts';
import { q3_k } from './q3-k.ts';
import { q4_0 } from './q4-0.ts';
import { q4_1 } from './q4-1.ts';
import { q4_k } from './q4-k.ts';
import { q5_0 } from './q5-0.ts';
import { q5_1 } from './q5-1.ts';
import { q5_k } from './q5-k.ts';
import { q6_k } from './q6-k.ts';
import { q8_0 } from './q8-0.ts';
import type { QuantFormat } from './quant-format.ts';

export const QUANT_FORMATS: readonly QuantFormat[] = [
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  mxfp4Pairs,
  affine4F16,
  affine4Bf16,
  affine8F16,
  affine8Bf16,
  fp8_e4m3,
];

/** The format of a GGUF tensor type by its name there (`Q8_0`), if there is one. */
export const quantFormatOf = (ggmlType: string): QuantFormat | undefined =>
  QUANT_FORMATS.find((format) => format.ggmlType === ggmlType);
