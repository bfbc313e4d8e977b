/** How byte-level BPE cuts text into words before it merges, by the name that GGUF files give it. */
import { EngineError } from '../../runtime/errors.ts';

// Unicode's White_Space, as the tokenizers' regular expressions mean \s; JavaScript's own \s differs in two characters.
const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const S = `[${SPACE}]`;
const NOT_S = `[^${SPACE}]`;
const SYMBOL = `[^${SPACE}\\p{L}\\p{N}]`;
const ANY_CASE_CONTRACTION = "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";

const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?${SYMBOL}+|${S}+(?!${NOT_S})|${S}+`;
const withDigits = (digits: string): string =>
  `${ANY_CASE_CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?${SYMBOL}+[\\r\\n]*|${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;

/**
 * Each name's expressions, applied one after the other to what the one before left whole.
 * Source: the models' tokenizer.json and llama.cpp's `llm_tokenizer_bpe`.
 */
const PATTERNS: Readonly<Record<string, readonly string[]>> = {
  'gpt-2': [GPT2],
  'llama-bpe': [withDigits('\\p{N}{1,3}')],
  qwen2: [withDigits('\\p{N}')],
  smollm: ['\\p{N}', GPT2],
  default: [
    '[\\p{P}$+<=>^~|]+',
    `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?${SYMBOL}+|${S}+(?!${NOT_S})`,
    '\\p{N}+',
    '[0-9][0-9][0-9]',
  ],
};

const ALIASES: Readonly<Record<string, string>> = {
  gpt2: 'gpt-2',
  llama3: 'llama-bpe',
  'llama-v3': 'llama-bpe',
};

/** Cuts text into words; joined, they give the text. */
export type PreTokenizer = (text: string) => readonly string[];

/** @throws EngineError model_unsupported, naming what is supported */
export const preTokenizer = (name: string): PreTokenizer => {
  const patterns = Object.hasOwn(PATTERNS, ALIASES[name] ?? name) ? PATTERNS[ALIASES[name] ?? name] : undefined;
  if (!patterns) {
    throw new EngineError(
      'model_unsupported',
      `tokenizer.ggml.pre is "${name}"; supported are ${Object.keys(PATTERNS).join(', ')}`,
    );
  }
  const expressions = patterns.map((pattern) => new RegExp(pattern, 'gu'));
  return (text) => expressions.reduce<readonly string[]>((pieces, expression) => cutAll(pieces, expression), [text]);
};

const cutAll = (pieces: readonly string[], expression: RegExp): string[] => {
  const words: string[] = [];
  for (const piece of pieces) {
    let end = 0;
    for (const match of piece.matchAll(expression)) {
      if (match.index > end) words.push(piece.slice(end, match.index));
      if (match[0].length > 0) words.push(match[0]);
      end = match.index + match[0].length;
    }
    if (end < piece.length) words.push(piece.slice(end));
  }
  return words;
};
