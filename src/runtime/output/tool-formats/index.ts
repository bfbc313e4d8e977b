/** The tool formats, and which of them a chat template asks for. */
import type { ToolFormat } from '../tool-format.ts';
import { functools } from './functools.ts';
import { gemma } from './gemma.ts';
import { harmony } from './harmony.ts';
import { hermes } from './hermes.ts';
import { llama3 } from './llama3.ts';
import { mistral } from './mistral.ts';
import { phi } from './phi.ts';
import { qwen3Coder } from './qwen3-coder.ts';

export const TOOL_FORMAT_NAMES = [
  'hermes',
  'qwen3-coder',
  'llama3',
  'mistral',
  'phi',
  'functools',
  'gemma',
  'harmony',
] as const;

export type ToolFormatName = (typeof TOOL_FORMAT_NAMES)[number];

export const TOOL_FORMATS: Readonly<Record<ToolFormatName, ToolFormat>> = {
  hermes,
  'qwen3-coder': qwen3Coder,
  llama3,
  mistral,
  phi,
  functools,
  gemma,
  harmony,
};

/** In the order in which they are tried: a template may mention more than one form. */
const DETECTED: readonly ToolFormatName[] = [
  'harmony',
  'qwen3-coder',
  'hermes',
  'mistral',
  'phi',
  'functools',
  'llama3',
  'gemma',
];

/** Undefined: the template knows no tools, or writes calls in a form that is not read. */
export const detectToolFormat = (template: string): ToolFormatName | undefined =>
  DETECTED.find((name) => TOOL_FORMATS[name].matches(template));
