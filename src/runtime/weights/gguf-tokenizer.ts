/** Reads a GGUF file's tokenizer into a definition that workers build it from. */
import { type NormalizerStep, TOKEN_TYPE, type TokenizerDefinition } from '../../workers/tokenizer/definition.ts';
import { takesWholeWords } from '../../workers/tokenizer/pre-tokenizers.ts';
import { EngineError } from '../errors.ts';
import { bertNormalizer } from './bert-normalizer.ts';
import type { ModelFile } from './model-file.ts';
import { isTag, turnEndsOf } from './special-texts.ts';

/** What a model of each kind has where its file does not say. Source: llama.cpp's `llama_vocab`. */
const DEFAULTS = {
  llama: { bos: 1, unknown: 0, eos: undefined, addBos: true, addSpacePrefix: true },
  gpt2: { bos: undefined, unknown: undefined, eos: undefined, addBos: false, addSpacePrefix: false },
  t5: { bos: undefined, unknown: 2, eos: 1, addBos: false, addSpacePrefix: false },
  bert: { bos: 101, unknown: 100, eos: undefined, addBos: true, addSpacePrefix: false },
} as const;

const BERT_SEPARATOR = 102;

type VocabularyKind = keyof typeof DEFAULTS;

/**
 * The file's tokenizer, or undefined when it has none.
 * @throws EngineError model_unsupported for a tokenizer that is not built yet; model_file_invalid
 */
export const ggufTokenizer = (file: ModelFile): TokenizerDefinition | undefined => {
  const tokens = file.strings('tokenizer.ggml.tokens');
  const model = file.string('tokenizer.ggml.model', 'none');
  if (!tokens || model === 'none' || model === 'no_vocab') return undefined;
  if (!isKnown(model)) {
    throw new EngineError(
      'model_unsupported',
      `${file.path}: tokenizer.ggml.model is "${model}"; supported are llama (SentencePiece BPE), gpt2 (byte-level BPE), t5 (SentencePiece Unigram) and bert (WordPiece)`,
    );
  }
  const numEmbedded = file.tensors.get('token_embd.weight')?.rows ?? tokens.length;
  if (tokens.length > numEmbedded) {
    throw new EngineError(
      'model_file_invalid',
      `${file.path}: tokenizer.ggml.tokens has ${tokens.length} entries, token_embd.weight only ${numEmbedded} rows`,
    );
  }
  const defaults = DEFAULTS[model];
  const preTokenizer = file.string('tokenizer.ggml.pre', 'default');
  const tokenTypes = readTokenTypes(file, tokens);
  const scores = file.numbers('tokenizer.ggml.scores');
  const merges = model === 'gpt2' ? file.strings('tokenizer.ggml.merges') : undefined;
  const clsTokenId = model === 'bert' ? tokenId(file, 'cls', tokens.length, defaults.bos) : defaults.bos;
  const bosTokenId = tokenId(file, 'bos', tokens.length, clsTokenId);
  const unknownTokenId = tokenId(file, 'unknown', tokens.length, defaults.unknown);
  const embeddingEndTokenId = embeddingEnd(file, model, tokens.length, defaults.eos);
  const normalizer = readNormalizer(file, model);
  const chatTemplate = file.metadata.has('tokenizer.chat_template')
    ? file.string('tokenizer.chat_template')
    : undefined;
  // Vocabularies in the manner of Llama 3 begin every prompt with BOS, though some of their files leave that unsaid.
  const addsBos = defaults.addBos || (model === 'gpt2' && takesWholeWords(preTokenizer));
  return {
    model,
    tokens,
    tokenTypes,
    endTokenIds: endTokenIds(file, tokens, tokenTypes, defaults.eos),
    addBos: bosTokenId !== undefined && file.boolean('tokenizer.ggml.add_bos_token', addsBos),
    addSpacePrefix: file.boolean('tokenizer.ggml.add_space_prefix', defaults.addSpacePrefix),
    ...(model === 'gpt2' ? { preTokenizer } : {}),
    ...(model === 't5' ? { mergesSpaces: file.boolean('tokenizer.ggml.remove_extra_whitespaces', false) } : {}),
    ...(takesSpaces(file, model) ? { trimsAfter: phi3TrimmingTokens(tokens, tokenTypes) } : {}),
    ...(normalizer.length === 0 ? {} : { normalizer }),
    ...(scores ? { scores } : {}),
    ...(merges ? { merges } : {}),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    ...(unknownTokenId === undefined ? {} : { unknownTokenId }),
    ...(embeddingEndTokenId === undefined ? {} : { embeddingEndTokenId }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
};

const isKnown = (model: string): model is VocabularyKind => Object.hasOwn(DEFAULTS, model);

/** Phi-3's special tokens take white space after them away; GGUF files cannot say so. Source: its tokenizer.json. */
const takesSpaces = (file: ModelFile, model: VocabularyKind): boolean =>
  model === 'llama' && file.string('general.architecture', '') === 'phi3';

const phi3TrimmingTokens = (tokens: readonly string[], tokenTypes: readonly number[]): number[] =>
  [...tokens.keys()].filter((id) => {
    const isSpecial = tokenTypes[id] === TOKEN_TYPE.control || tokenTypes[id] === TOKEN_TYPE.userDefined;
    return isSpecial && !['<s>', '<|endoftext|>'].includes(tokens[id]!);
  });

const readNormalizer = (file: ModelFile, model: VocabularyKind): NormalizerStep[] => {
  if (model === 't5') {
    const rules = file.numbers('tokenizer.ggml.precompiled_charsmap');
    return rules && rules.length > 0 ? [{ kind: 'charsmap', bytes: Uint8Array.from(rules) }] : [];
  }
  if (model !== 'bert') return [];
  const lowercases = file.boolean('tokenizer.ggml.normalizer.lowercase', true);
  const stripsAccents = file.boolean('tokenizer.ggml.normalizer.strip_accents', lowercases);
  return bertNormalizer({ cleansText: true, lowercases, stripsAccents });
};

const readTokenTypes = (file: ModelFile, tokens: readonly string[]): readonly number[] => {
  const types = file.numbers('tokenizer.ggml.token_type');
  if (types && types.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `${file.path}: tokenizer.ggml.token_type has ${types.length} entries, the vocabulary ${tokens.length}`,
    );
  }
  return tokens.map((token, id) => {
    const type = types?.[id] ?? TOKEN_TYPE.normal;
    return type === TOKEN_TYPE.control && isTag(token) ? TOKEN_TYPE.userDefined : type;
  });
};

const tokenId = (
  file: ModelFile,
  name: string,
  vocabularySize: number,
  fallback: number | undefined,
): number | undefined => {
  const key = `tokenizer.ggml.${name}_token_id`;
  if (!file.metadata.has(key)) return fallback;
  const id = file.number(key);
  // Some converters write −1 or 2³² − 1 for "none".
  if (id === -1 || id === 0xffffffff) return undefined;
  if (Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
  throw new EngineError(
    'model_file_invalid',
    `${file.path}: ${key} is ${id}, the vocabulary has ${vocabularySize} tokens`,
  );
};

/** BERT always closes a text; others where their file says that EOS is added. Source: llama.cpp's `llama_vocab`. */
const embeddingEnd = (
  file: ModelFile,
  model: VocabularyKind,
  vocabularySize: number,
  eos: number | undefined,
): number | undefined => {
  // The key is spelt so in the specification.
  if (model === 'bert') return tokenId(file, 'seperator', vocabularySize, BERT_SEPARATOR);
  return file.boolean('tokenizer.ggml.add_eos_token', false) ? tokenId(file, 'eos', vocabularySize, eos) : undefined;
};

const endTokenIds = (
  file: ModelFile,
  tokens: readonly string[],
  tokenTypes: readonly number[],
  eos: number | undefined,
): number[] => {
  const ids = new Set<number>();
  const endsTurn = turnEndsOf(tokens);
  for (const name of ['eos', 'eot', 'eom']) {
    const id = tokenId(file, name, tokens.length, name === 'eos' ? eos : undefined);
    if (id !== undefined && endsTurn(tokens[id]!) !== false) ids.add(id);
  }
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control && endsTurn(token)) ids.add(id);
  }
  return [...ids];
};
