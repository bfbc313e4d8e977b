/** Prompts for text in a gap, by the tokens that models of code are trained with. Source: `llama-vocab.cpp`'s list. */
import type { FillPrompt } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';
import type { PromptPart } from './tokenizer/special-tokens.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';

type Marks = readonly [prefix: string, suffix: string, middle: string];

/** Qwen Coder and CodeGemma; StarCoder; SantaCoder; DeepSeek Coder; Code Llama. */
const MARKS: readonly Marks[] = [
  ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'],
  ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
  ['<fim-prefix>', '<fim-suffix>', '<fim-middle>'],
  ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'],
  ['▁<PRE>', '▁<SUF>', '▁<MID>'],
];

/** The prompt without BOS. @throws EngineError not_supported: the model has no such tokens */
export const fillMiddle = (
  { prefix, suffix }: FillPrompt,
  definition: TokenizerDefinition,
  tokenizer: Tokenizer,
): Uint32Array => {
  const [beforePrefix, beforeSuffix, beforeMiddle] = marksOf(definition);
  return tokenizer.encodePart([
    { tokenId: beforePrefix },
    ...plain(prefix, tokenizer),
    { tokenId: beforeSuffix },
    ...plain(suffix, tokenizer),
    { tokenId: beforeMiddle },
  ]);
};

const marksOf = (definition: TokenizerDefinition): readonly [number, number, number] => {
  const idOf = (token: string): number =>
    definition.model === 'bytes' ? (definition.specialTokens?.[token] ?? -1) : definition.tokens.indexOf(token);
  for (const [prefix, suffix, middle] of MARKS) {
    const ids = [idOf(prefix), idOf(suffix), idOf(middle)] as const;
    if (ids.every((id) => id >= 0)) return ids;
  }
  throw new EngineError(
    'not_supported',
    'suffix: this model has no tokens for filling a gap; leave it out, or use a model of code that has them',
    { param: 'suffix' },
  );
};

const plain = (text: string, tokenizer: Tokenizer): PromptPart =>
  text === ''
    ? []
    : tokenizer
        .parts([{ text, isLiteral: true }], Number.POSITIVE_INFINITY)
        .flat()
        .map((fragment) => ('text' in fragment ? { ...fragment, place: 'fragment' } : fragment));
