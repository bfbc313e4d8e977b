/** The text steps of a tokenizer.json: normalizers and pre-tokenizers, as the project's own steps. */
import type { NormalizerStep, SplitStep } from '../../workers/tokenizer/definition.ts';
import { GPT2_STEP } from '../../workers/tokenizer/pre-tokenizers.ts';
import { EngineError } from '../errors.ts';
import { bertNormalizer } from './bert-normalizer.ts';
import { javascriptPattern, literalPattern } from './oniguruma.ts';
import { nameOfExpression } from './published-expressions.ts';
import { isObject } from './safetensors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface TextSteps {
  readonly normalizer: NormalizerStep[];
  readonly splits: SplitStep[];
  /** Cuts after text became bytes. */
  readonly byteSplits: SplitStep[];
  /** Of splits that are just one that GGUF files know: its name. */
  name: string | undefined;
  /** Text becomes bytes written with printable characters. */
  isByteLevel: boolean;
  /** Spaces become U+2581. */
  marksSpaces: boolean;
  /** Where a space goes before text. */
  spacePrefix: 'never' | 'first' | 'always';
  /** Text that begins with a space gets no other one. */
  noSecondSpacePrefix: boolean;
  /** Every stretch without spaces is a word with one space before it. */
  mergesSpaces: boolean;
  /** Words are cut as BERT's are. */
  isBert: boolean;
}

const MARK = '\u2581';
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';

const BEHAVIORS: Readonly<Record<string, SplitStep['behavior']>> = {
  Isolated: 'isolated',
  Removed: 'removed',
  MergedWithPrevious: 'mergedWithPrevious',
  MergedWithNext: 'mergedWithNext',
  Contiguous: 'contiguous',
};

/** @throws EngineError model_unsupported, naming the part */
export const readTextSteps = (path: string, normalizer: unknown, preTokenizer: unknown): TextSteps => {
  const steps: TextSteps = {
    normalizer: [],
    splits: [],
    byteSplits: [],
    name: undefined,
    isByteLevel: false,
    marksSpaces: false,
    spacePrefix: 'never',
    noSecondSpacePrefix: false,
    mergesSpaces: false,
    isBert: false,
  };
  for (const part of partsOf(normalizer, 'normalizers')) addNormalizer(path, part, steps);
  const parts = partsOf(preTokenizer, 'pretokenizers');
  for (const part of parts) addPreTokenizer(path, part, steps);
  steps.name = nameOf(parts);
  return steps;
};

/** GPT-2's ByteLevel, alone or after single digits, or a well-known expression and a ByteLevel that only writes bytes. */
const nameOf = (parts: readonly JsonObject[]): string | undefined => {
  const [first, second, ...others] = parts;
  const isGpt2 = (part: JsonObject | undefined) => part?.type === 'ByteLevel' && part.use_regex !== false;
  if (others.length > 0) return undefined;
  if (isGpt2(first) && second === undefined) return 'gpt-2';
  if (first?.type === 'Digits' && first.individual_digits === true && isGpt2(second)) return 'starcoder';
  const isWritten = second?.type === 'ByteLevel' && second.use_regex === false;
  if (first?.type !== 'Split' || !isWritten || !isObject(first.pattern)) return undefined;
  const keepsMatches = first.invert === true ? first.behavior === 'Removed' : first.behavior === 'Isolated';
  return keepsMatches ? nameOfExpression(String(first.pattern.Regex)) : undefined;
};

/** A part that may be a sequence of others. */
export const partsOf = (part: unknown, key: string): JsonObject[] => {
  if (!isObject(part)) return [];
  const inner = part[key];
  return part.type === 'Sequence' && Array.isArray(inner) ? inner.flatMap((one) => partsOf(one, key)) : [part];
};

/** @throws EngineError model_unsupported */
export const unsupportedPart = (path: string, part: unknown, supported: string): never => {
  const found = JSON.stringify(part).slice(0, 200);
  throw new EngineError('model_unsupported', `${path}: ${found} is not supported; ${supported}`);
};

const addNormalizer = (path: string, part: JsonObject, steps: TextSteps): void => {
  const { normalizer } = steps;
  switch (part.type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      normalizer.push({ kind: part.type.toLowerCase() as 'nfc' | 'nfd' | 'nfkc' | 'nfkd' });
      return;
    case 'Lowercase':
      normalizer.push({ kind: 'lowercase' });
      return;
    case 'StripAccents':
      normalizer.push({ kind: 'replace', pattern: '\\p{M}', content: '' });
      return;
    case 'Strip':
      if (part.strip_left) normalizer.push({ kind: 'replace', pattern: '^\\p{White_Space}+', content: '' });
      if (part.strip_right)
        normalizer.push({ kind: 'replace', pattern: '(?<!\\p{White_Space})\\p{White_Space}+$', content: '' });
      return;
    case 'Prepend':
      if (part.prepend === MARK) steps.spacePrefix = 'always';
      else normalizer.push({ kind: 'replace', pattern: '^(?=[^])', content: String(part.prepend) });
      return;
    case 'Replace':
      if (isObject(part.pattern) && part.pattern.String === ' ' && part.content === MARK) steps.marksSpaces = true;
      else normalizer.push({ kind: 'replace', pattern: patternOf(path, part), content: String(part.content) });
      return;
    case 'Precompiled': {
      const rules = typeof part.precompiled_charsmap === 'string' ? part.precompiled_charsmap : '';
      if (rules !== '') normalizer.push({ kind: 'charsmap', bytes: Uint8Array.from(Buffer.from(rules, 'base64')) });
      return;
    }
    case 'BertNormalizer':
      if (part.handle_chinese_chars === false) break;
      normalizer.push(
        ...bertNormalizer({
          cleansText: part.clean_text !== false,
          lowercases: part.lowercase !== false,
          stripsAccents:
            part.strip_accents === null || part.strip_accents === undefined
              ? part.lowercase !== false
              : part.strip_accents === true,
        }),
      );
      return;
  }
  unsupportedPart(
    path,
    part,
    'normalizers are NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, Precompiled, BertNormalizer',
  );
};

const addPreTokenizer = (path: string, part: JsonObject, steps: TextSteps): void => {
  const splits = steps.isByteLevel ? steps.byteSplits : steps.splits;
  switch (part.type) {
    case 'ByteLevel':
      if (part.add_prefix_space === true) addPrefixSpace(path, part, steps);
      if (part.use_regex !== false) splits.push(GPT2_STEP);
      steps.isByteLevel = true;
      return;
    case 'Split': {
      const behavior = BEHAVIORS[String(part.behavior)];
      if (behavior === undefined) break;
      // Where every space has become a mark, none is left to split at.
      if (steps.marksSpaces && isObject(part.pattern) && part.pattern.String === ' ') return;
      splits.push({ pattern: patternOf(path, part), behavior, invert: part.invert === true });
      return;
    }
    case 'Digits':
      splits.push({ pattern: '\\p{N}', behavior: part.individual_digits === true ? 'isolated' : 'contiguous' });
      return;
    case 'Punctuation': {
      const behavior = BEHAVIORS[String(part.behavior ?? 'Isolated')];
      if (behavior === undefined) break;
      splits.push({ pattern: PUNCTUATION, behavior });
      return;
    }
    case 'Whitespace':
      splits.push({ pattern: javascriptPattern('\\w+|[^\\w\\s]+'), behavior: 'removed', invert: true });
      return;
    case 'WhitespaceSplit':
      splits.push({ pattern: '\\p{White_Space}', behavior: 'removed' });
      return;
    case 'Metaspace':
      addMetaspace(path, part, steps);
      return;
    case 'BertPreTokenizer':
      steps.isBert = true;
      return;
  }
  unsupportedPart(
    path,
    part,
    'pre-tokenizers are ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, Metaspace, BertPreTokenizer',
  );
};

/** A space before each piece that has none: known only where the piece is all the text between special tokens. */
const addPrefixSpace = (path: string, part: JsonObject, { splits, normalizer }: TextSteps): void => {
  if (splits.length > 0) unsupportedPart(path, part, 'add_prefix_space must come before other pre-tokenizers');
  normalizer.push({ kind: 'replace', pattern: '^(?=[^ ])', content: ' ' });
};

const addMetaspace = (path: string, part: JsonObject, steps: TextSteps): void => {
  const scheme = part.prepend_scheme ?? (part.add_prefix_space === false ? 'never' : 'always');
  if ((part.replacement ?? MARK) !== MARK || !['never', 'first', 'always'].includes(String(scheme))) {
    unsupportedPart(path, part, `Metaspace writes a space as ${MARK} and prepends it never, first or always`);
  }
  const [only, ...others] = steps.splits;
  if (only) {
    // Words that were cut at spaces get their mark one by one.
    if (others.length > 0 || only.behavior !== 'removed' || only.invert || scheme !== 'always') {
      unsupportedPart(path, part, 'before Metaspace, only WhitespaceSplit may come');
    }
    steps.splits.pop();
    steps.normalizer.push({ kind: 'replace', pattern: '\\p{White_Space}+', content: ' ' });
    steps.mergesSpaces = true;
  }
  steps.marksSpaces = true;
  steps.noSecondSpacePrefix = true;
  steps.spacePrefix = scheme as TextSteps['spacePrefix'];
  if (part.split !== false) steps.splits.push({ pattern: MARK, behavior: 'mergedWithNext' });
};

/** A pattern as normalizers and pre-tokenizers have it: `{"String": …}` or `{"Regex": …}`. */
const patternOf = (path: string, part: JsonObject): string => {
  const { pattern } = part;
  if (isObject(pattern) && typeof pattern.String === 'string') return literalPattern(pattern.String);
  if (isObject(pattern) && typeof pattern.Regex === 'string') return javascriptPattern(pattern.Regex);
  return unsupportedPart(path, part, 'a pattern is {"String": text} or {"Regex": expression}');
};
