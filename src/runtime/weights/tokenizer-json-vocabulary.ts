/** The vocabulary of a tokenizer.json: its model's tokens and those added to them. */
import { TOKEN_TYPE, type VocabularyDefinition } from '../../workers/tokenizer/definition.ts';
import { EngineError } from '../errors.ts';
import { isObject } from './safetensors.ts';
import { isTag } from './special-texts.ts';
import { type JsonObject, type TextSteps, unsupportedPart } from './tokenizer-json-steps.ts';

/** The fields of a definition that the model's part of tokenizer.json gives. */
export type Vocabulary = Pick<
  VocabularyDefinition,
  | 'model'
  | 'tokens'
  | 'tokenTypes'
  | 'scores'
  | 'merges'
  | 'takesWholeWords'
  | 'unknownTokenId'
  | 'separatesUnknown'
  | 'maxWordCharacters'
  | 'trimsBefore'
  | 'trimsAfter'
>;

/** More tokens than any vocabulary has: an id beyond is a mistake, and would cost memory. */
const MAX_TOKENS = 2 ** 22;
const MARK = '\u2581';
const BYTE_PIECE = /^<0x[0-9A-Fa-f]{2}>$/;

/** @throws EngineError model_unsupported, model_file_invalid */
export const readVocabulary = (path: string, model: JsonObject, added: unknown, steps: TextSteps): Vocabulary => {
  const type =
    model.type ?? (Array.isArray(model.merges) ? 'BPE' : Array.isArray(model.vocab) ? 'Unigram' : 'WordPiece');
  const whole = new TokenList(path);
  const addedTokens = Array.isArray(added) ? added.filter(isObject) : [];
  const read = { BPE: readBpe, Unigram: readUnigram, WordPiece: readWordPiece }[String(type)];
  if (!read) return unsupportedPart(path, { model: type }, 'models are BPE, Unigram and WordPiece');
  const fields = read(path, model, whole, steps);
  if (fields.unknownTokenId !== undefined) whole.types[fields.unknownTokenId] = TOKEN_TYPE.unknown;
  for (const token of addedTokens) {
    const { id, content, special } = token;
    if (typeof content !== 'string' || token.single_word === true) {
      unsupportedPart(path, token, 'an added token has its text as content, and no single_word');
    }
    const isControl = special === true && !isTag(content as string) && id !== fields.unknownTokenId;
    const isKnownAs = id === fields.unknownTokenId ? TOKEN_TYPE.unknown : TOKEN_TYPE.userDefined;
    whole.set(id, content as string, isControl ? TOKEN_TYPE.control : isKnownAs);
  }
  const trims = (key: string): number[] =>
    addedTokens.filter((token) => token[key] === true).map(({ id }) => Number(id));
  return {
    ...fields,
    ...(fields.scores ? { scores: whole.texts.map((_, id) => fields.scores![id] ?? 0) } : {}),
    tokens: whole.texts,
    tokenTypes: whole.types,
    ...(trims('lstrip').length > 0 ? { trimsBefore: trims('lstrip') } : {}),
    ...(trims('rstrip').length > 0 ? { trimsAfter: trims('rstrip') } : {}),
  };
};

/** Tokens by id; ids that are skipped are unused. */
class TokenList {
  readonly texts: string[] = [];
  readonly types: number[] = [];
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  set(id: unknown, text: string, type: number): void {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKENS) {
      const problem = `token ${JSON.stringify(text)} has the id ${JSON.stringify(id)}, not a number below ${MAX_TOKENS}`;
      throw new EngineError('model_file_invalid', `${this.#path}: ${problem}`);
    }
    while (this.texts.length <= (id as number)) {
      this.texts.push('');
      this.types.push(TOKEN_TYPE.unused);
    }
    this.texts[id as number] = text;
    this.types[id as number] = type;
  }
}

type Fields = Omit<Vocabulary, 'tokens' | 'tokenTypes'>;
type Reader = (path: string, model: JsonObject, list: TokenList, steps: TextSteps) => Fields;

const invalid = (path: string, problem: string): never => {
  throw new EngineError('model_file_invalid', `${path}: ${problem}; download it again`);
};

/** Token → id. */
const readIds = (path: string, vocab: unknown): [token: string, id: unknown][] =>
  isObject(vocab) ? Object.entries(vocab) : invalid(path, 'model.vocab is no object of tokens and ids');

const idOfUnknown = (model: JsonObject, list: TokenList): number | undefined => {
  const id = typeof model.unk_token === 'string' ? list.texts.indexOf(model.unk_token) : -1;
  return id < 0 ? undefined : id;
};

const readBpe: Reader = (path, model, list, { isByteLevel }) => {
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key]) unsupportedPart(path, { [key]: model[key] }, 'BPE marks no parts of words');
  }
  for (const [token, id] of readIds(path, model.vocab)) {
    const isByte = model.byte_fallback === true && BYTE_PIECE.test(token);
    list.set(id, token, isByte ? TOKEN_TYPE.byte : TOKEN_TYPE.normal);
  }
  if (!Array.isArray(model.merges)) return invalid(path, 'model.merges is no list');
  const merges = model.merges.map((merge: unknown, rank) => {
    const pair = Array.isArray(merge) ? merge : String(merge).split(' ');
    if (pair.length === 2 && pair.every((part) => typeof part === 'string' && !part.includes(' ')))
      return pair.join(' ');
    return invalid(path, `model.merges[${rank}] is ${JSON.stringify(merge)}, no pair of tokens`);
  });
  // Bytes are never unknown; what some files name so is a token that they have for something else.
  if (isByteLevel) return { model: 'gpt2', merges, takesWholeWords: model.ignore_merges === true };
  const unknownTokenId = idOfUnknown(model, list);
  return {
    model: 'llama',
    merges,
    ...(model.fuse_unk === true ? {} : { separatesUnknown: true }),
    ...(unknownTokenId === undefined ? {} : { unknownTokenId }),
  };
};

const readUnigram: Reader = (path, model, list) => {
  if (!Array.isArray(model.vocab)) return invalid(path, 'model.vocab is no list of pieces and scores');
  const scores: number[] = [];
  for (const [id, entry] of model.vocab.entries()) {
    const [piece, score]: unknown[] = Array.isArray(entry) ? entry : [];
    if (typeof piece !== 'string' || typeof score !== 'number') {
      return invalid(path, `model.vocab[${id}] is ${JSON.stringify(entry)}, not a piece and its score`);
    }
    const isByte = model.byte_fallback === true && BYTE_PIECE.test(piece);
    list.set(id, piece, isByte ? TOKEN_TYPE.byte : TOKEN_TYPE.normal);
    scores.push(score);
  }
  const { unk_id: id } = model;
  if (id === undefined || id === null) return { model: 't5', scores };
  if (typeof id !== 'number' || list.texts[id] === undefined) {
    return invalid(path, `model.unk_id is ${JSON.stringify(id)}, no id of the ${scores.length} pieces`);
  }
  return { model: 't5', scores, unknownTokenId: id };
};

/** Pieces that go on are marked in the file; in a definition those are that begin. */
const readWordPiece: Reader = (path, model, list) => {
  const prefix = model.continuing_subword_prefix ?? '##';
  if (typeof prefix !== 'string' || prefix === '') {
    return unsupportedPart(path, { continuing_subword_prefix: prefix }, 'WordPiece marks the parts that go on');
  }
  const entries = readIds(path, model.vocab);
  for (const [token, id] of entries) list.set(id, token, TOKEN_TYPE.normal);
  const unknownTokenId = idOfUnknown(model, list);
  for (const [token, id] of entries) {
    const isMarked = token.startsWith(prefix);
    if (id !== unknownTokenId) list.texts[id as number] = isMarked ? token.slice(prefix.length) : MARK + token;
  }
  return {
    model: 'bert',
    maxWordCharacters: typeof model.max_input_chars_per_word === 'number' ? model.max_input_chars_per_word : 100,
    ...(unknownTokenId === undefined ? {} : { unknownTokenId }),
  };
};
