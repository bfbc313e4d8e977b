/** Reads a GGUF file's tokenizer into a definition that workers build it from. */
import { TOKEN_TYPE, type TokenizerDefinition } from '../../workers/tokenizer/definition.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile } from './model-file.ts';

/** Control tokens that end a turn in the chat formats of known models, whatever the file's EOS is. */
const TURN_ENDS = new Set([
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|end_of_turn|>',
  '<end_of_turn>',
  '<|return|>',
  '</s>',
]);

/** Some files call these control tokens; they are text that the output parser reads. */
const TAGS = new Set(['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']);

/**
 * The file's tokenizer, or undefined when it has none.
 * @throws EngineError model_unsupported for a tokenizer that is not built yet; model_file_invalid
 */
export const ggufTokenizer = (file: ModelFile): TokenizerDefinition | undefined => {
  const tokens = file.strings('tokenizer.ggml.tokens');
  const model = file.string('tokenizer.ggml.model', 'none');
  if (!tokens || model === 'none' || model === 'no_vocab') return undefined;
  if (model !== 'llama' && model !== 'gpt2') {
    throw new EngineError(
      'model_unsupported',
      `${file.path}: tokenizer.ggml.model is "${model}"; supported are llama (SentencePiece BPE) and gpt2 (byte-level BPE)`,
    );
  }
  const numEmbedded = file.tensors.get('token_embd.weight')?.rows ?? tokens.length;
  if (tokens.length > numEmbedded) {
    throw new EngineError(
      'model_file_invalid',
      `${file.path}: tokenizer.ggml.tokens has ${tokens.length} entries, token_embd.weight only ${numEmbedded} rows`,
    );
  }
  const isSentencePiece = model === 'llama';
  const tokenTypes = readTokenTypes(file, tokens);
  const scores = file.numbers('tokenizer.ggml.scores');
  const merges = file.strings('tokenizer.ggml.merges');
  const bosTokenId = tokenId(file, 'bos', tokens.length, isSentencePiece ? 1 : undefined);
  const unknownTokenId = tokenId(file, 'unknown', tokens.length, isSentencePiece ? 0 : undefined);
  const chatTemplate = file.metadata.has('tokenizer.chat_template')
    ? file.string('tokenizer.chat_template')
    : undefined;
  return {
    model,
    tokens,
    tokenTypes,
    endTokenIds: endTokenIds(file, tokens, tokenTypes),
    addBos: bosTokenId !== undefined && file.boolean('tokenizer.ggml.add_bos_token', isSentencePiece),
    addSpacePrefix: file.boolean('tokenizer.ggml.add_space_prefix', isSentencePiece),
    ...(isSentencePiece ? {} : { preTokenizer: file.string('tokenizer.ggml.pre', 'default') }),
    ...(scores ? { scores } : {}),
    ...(merges ? { merges } : {}),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    ...(unknownTokenId === undefined ? {} : { unknownTokenId }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
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
    return type === TOKEN_TYPE.control && TAGS.has(token) ? TOKEN_TYPE.userDefined : type;
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

const endTokenIds = (file: ModelFile, tokens: readonly string[], tokenTypes: readonly number[]): number[] => {
  const ids = new Set<number>();
  for (const name of ['eos', 'eot', 'eom']) {
    const id = tokenId(file, name, tokens.length, undefined);
    if (id !== undefined) ids.add(id);
  }
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control && TURN_ENDS.has(token)) ids.add(id);
  }
  return [...ids];
};
