/** How byte-level BPE cuts text into words before it merges, by the name that GGUF files give it. */
import { EngineError } from '../../runtime/errors.ts';
import type { SplitStep } from './definition.ts';
import { cutter, type TextCutter } from './split.ts';

// Unicode's White_Space, as the tokenizers' regular expressions mean \s; JavaScript's own \s differs in two characters.
const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const S = `[${SPACE}]`;
const NOT_S = `[^${SPACE}]`;
const SYMBOL = `[^${SPACE}\\p{L}\\p{N}]`;
const LAST_SPACES = `${S}+(?!${NOT_S})|${S}+`;
const ANY_CASE_CONTRACTION = "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";

const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?${SYMBOL}+|${LAST_SPACES}`;

const withDigits = (digits: string): string =>
  `${ANY_CASE_CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?${SYMBOL}+[\\r\\n]*|${S}*[\\r\\n]+|${LAST_SPACES}`;

const QWEN35 = `${ANY_CASE_CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^${SPACE}\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${S}*[\\r\\n]+|${LAST_SPACES}`;

/** Words with their capitals first; `suffix` may follow them. */
const withCapitals = (suffix: string, digits: string): string => {
  const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
  const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  return `${before}${upper}*${lower}+${suffix}|${before}${upper}+${lower}*${suffix}|${digits}| ?${SYMBOL}+[\\r\\n/]*|${S}*[\\r\\n]+|${LAST_SPACES}`;
};

/** The letters with case that the model's authors listed. */
const DEEPSEEK_LETTERS =
  'A-Za-z\\u00b5\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u01ba\\u01bc-\\u01bf\\u01c4-\\u0293\\u0295-\\u02af' +
  '\\u0370-\\u0373\\u0376\\u0377\\u037b-\\u037d\\u037f\\u0386\\u0388-\\u038a\\u038c\\u038e-\\u03a1\\u03a3-\\u03f5' +
  '\\u03f7-\\u0481\\u048a-\\u052f\\u0531-\\u0556\\u10a0-\\u10c5\\u13a0-\\u13f5\\u13f8-\\u13fd\\u1c90-\\u1cba' +
  '\\u1cbd-\\u1cbf\\u1d00-\\u1d2b\\u1d6b-\\u1d77\\u1d79-\\u1d9a\\u1e00-\\u1f15\\u1f18-\\u1f1d\\u1f20-\\u1f45' +
  '\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d\\u1f5f-\\u1f7d\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe' +
  '\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc\\u1fd0-\\u1fd3\\u1fd6-\\u1fdb\\u1fe0-\\u1fec\\u1ff2-\\u1ff4\\u1ff6-\\u1ffc' +
  '\\u2102\\u2107\\u210a-\\u2113\\u2115\\u2119-\\u211d\\u2124\\u2126\\u2128\\u212a-\\u212d\\u212f-\\u2134\\u2139' +
  '\\u213c-\\u213f\\u2145-\\u2149\\u214e\\u2183\\u2184\\u2c00-\\u2c7b\\u2c7e-\\u2ce4\\u2ceb-\\u2cee\\u2cf2\\u2cf3' +
  '\\ua640-\\ua66d\\ua680-\\ua69b\\ua722-\\ua76f\\ua771-\\ua787\\ua78b-\\ua78e\\uab70-\\uabbf\\ufb00-\\ufb06' +
  '\\ufb13-\\ufb17\\uff21-\\uff3a\\uff41-\\uff5a\\u{10400}-\\u{1044f}\\u{104b0}-\\u{104d3}\\u{104d8}-\\u{104fb}' +
  '\\u{10c80}-\\u{10cb2}\\u{10cc0}-\\u{10cf2}\\u{118a0}-\\u{118df}\\u{1e900}-\\u{1e943}';
const DEEPSEEK_PUNCTUATION = '!-\\/:-~\\uff01-\\uff0f\\uff1a-\\uff5e\\u2018-\\u201f\\u3000-\\u3002';
const DEEPSEEK_ASIAN = '[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+';
/** `\s+$`, tried once for a run of spaces: at its beginning. */
const FINAL_SPACES = `(?<!${S})${S}+$`;
const DEEPSEEK_V3_WORDS = `[!-\\/:-@\\[-\`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${S}*[\\r\\n]+|${LAST_SPACES}`;

/**
 * Each name's expressions, applied one after the other to what the one before left whole.
 * Source: the models' tokenizer.json and llama.cpp's `llm_tokenizer_bpe`.
 */
const PATTERNS: Readonly<Record<string, readonly string[]>> = {
  'gpt-2': [GPT2],
  'llama-bpe': [withDigits('\\p{N}{1,3}')],
  dbrx: [withDigits('\\p{N}{1,3}')],
  qwen2: [withDigits('\\p{N}')],
  qwen35: [QWEN35],
  'gpt-4o': [withCapitals(`(?:${ANY_CASE_CONTRACTION})?`, '\\p{N}{1,3}')],
  tekken: [withCapitals('', '\\p{N}')],
  'deepseek-llm': [
    '[\\r\\n]',
    `${S}?[${DEEPSEEK_LETTERS}]+`,
    `${S}?[${DEEPSEEK_PUNCTUATION}]+`,
    FINAL_SPACES,
    DEEPSEEK_ASIAN,
    '\\p{N}+',
  ],
  'deepseek-coder': ['[\\r\\n]', `${S}?\\p{L}+`, `${S}?\\p{P}+`, DEEPSEEK_ASIAN, '\\p{N}'],
  'deepseek-v3': ['\\p{N}{1,3}', '[\\u4e00-\\u9fa5\\u3040-\\u30ff]+', DEEPSEEK_V3_WORDS],
  falcon: ['[\\p{P}$+<=>^~|`]+', GPT2, '[0-9][0-9][0-9]'],
  starcoder: ['\\p{N}', GPT2],
  default: ['[\\p{P}$+<=>^~|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'],
};

/** Other names of the same expressions. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  'gpt-2': ['gpt2', 'phi-2', 'mpt', 'olmo', 'exaone4', 'jais', 'gigachat', 'mellum', 'trillion', 'granite-docling'],
  'llama-bpe': ['llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2'],
  dbrx: ['smaug-bpe', 'glm4', 'chatglm-bpe'],
  qwen2: ['deepseek-r1-qwen', 'kormo', 'stablelm2', 'hunyuan', 'solar-open', 'megrez', 'grok-2'],
  'gpt-4o': ['o200k', 'gpt-oss', 'llama4', 'kanana2', 'minimax-m2'],
  'deepseek-v3': ['hunyuan-dense', 'joyai-llm'],
  starcoder: ['refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
};

const canonicalName = (name: string): string =>
  Object.entries(ALIASES).find(([, others]) => others.includes(name))?.[0] ?? name;

/** GPT-2's cut, which Hugging Face's `ByteLevel` makes unless told not to. */
export const GPT2_STEP: SplitStep = { pattern: GPT2, behavior: 'isolated' };

/** What cuts text into words; joined, they give the text. @throws EngineError model_unsupported, naming what is supported */
export const preTokenizer = (name: string): TextCutter => {
  const canonical = canonicalName(name);
  const patterns = Object.hasOwn(PATTERNS, canonical) ? PATTERNS[canonical] : undefined;
  if (!patterns) {
    throw new EngineError(
      'model_unsupported',
      `tokenizer.ggml.pre is "${name}"; supported are ${Object.keys(PATTERNS).join(', ')}, and other names of these`,
    );
  }
  return cutter(patterns.map((pattern) => ({ pattern, behavior: 'isolated' })));
};

/** Vocabularies with words that their merges do not reach, and that are tokens all the same. */
export const takesWholeWords = (name: string): boolean => ['llama-bpe', 'tekken'].includes(canonicalName(name));
