/** Reads the tokenizer of a model folder as published on the Hugging Face hub. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from '../../workers/tokenizer/definition.ts';
import { EngineError } from '../errors.ts';
import { isObject, readJsonObject } from './safetensors.ts';
import { isTag, turnEndsOf } from './special-texts.ts';
import { type JsonObject, partsOf, readTextSteps, type TextSteps, unsupportedPart } from './tokenizer-json-steps.ts';
import { readVocabulary, type Vocabulary } from './tokenizer-json-vocabulary.ts';

/** Tokenizers in formats that are not read, where tokenizer.json is missing. */
const OTHER_FORMATS = ['tokenizer.model', 'spiece.model', 'vocab.json', 'vocab.txt', 'tekken.json'];

/** The folder's files beside tokenizer.json, each `{}` where it is missing. */
interface Settings {
  readonly tokenizer: JsonObject;
  readonly specialTokens: JsonObject;
  readonly generation: JsonObject;
  readonly model: JsonObject;
}

/**
 * The tokenizer of a folder, or undefined when it has none.
 * @throws EngineError model_unsupported, naming the part that no tokenizer here has; model_file_invalid
 */
export const readTokenizerJson = async (folder: string): Promise<TokenizerDefinition | undefined> => {
  const path = join(folder, 'tokenizer.json');
  const json = await readJsonObject(path);
  if (!json) return refuseOtherFormats(folder);
  const read = async (name: string): Promise<JsonObject> => (await readJsonObject(join(folder, name))) ?? {};
  const settings: Settings = {
    tokenizer: await read('tokenizer_config.json'),
    specialTokens: await read('special_tokens_map.json'),
    generation: await read('generation_config.json'),
    model: await read('config.json'),
  };
  const chatTemplate = await readChatTemplate(folder, settings);
  return { ...definitionOf(path, json, settings), ...(chatTemplate === undefined ? {} : { chatTemplate }) };
};

const refuseOtherFormats = async (folder: string): Promise<undefined> => {
  for (const name of OTHER_FORMATS) {
    if (!(await stat(join(folder, name)).catch(() => undefined))) continue;
    throw new EngineError(
      'model_unsupported',
      `${join(folder, name)}: the folder has no tokenizer.json, and ${name} is not read; get tokenizer.json of the model, or a GGUF file`,
    );
  }
  return undefined;
};

const definitionOf = (path: string, json: JsonObject, settings: Settings): VocabularyDefinition => {
  const model = isObject(json.model) ? json.model : {};
  const steps = readTextSteps(path, json.normalizer, json.pre_tokenizer);
  const whole = readVocabulary(path, model, json.added_tokens, steps);
  const vocabulary = withinModel(whole, settings);
  const { tokens } = vocabulary;
  const idOf = (text: string | undefined): number | undefined => {
    const id = text === undefined ? -1 : tokens.indexOf(text);
    return id < 0 ? undefined : id;
  };
  const [firstText, lastText] = templateEnds(json.post_processor);
  const embeddingEndTokenId = idOf(
    lastText ?? (settings.tokenizer.add_eos_token === true ? specialText(settings, 'eos_token') : undefined),
  );
  const bosTokenId = idOf(specialText(settings, 'bos_token') ?? specialText(settings, 'cls_token') ?? firstText);
  const addsBos = settings.tokenizer.add_bos_token ?? (firstText !== undefined && idOf(firstText) === bosTokenId);
  return {
    ...vocabulary,
    ...textFields(path, vocabulary, steps),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    addBos: addsBos === true && bosTokenId !== undefined,
    ...(embeddingEndTokenId === undefined ? {} : { embeddingEndTokenId }),
    endTokenIds: endTokenIds(vocabulary, settings, idOf(specialText(settings, 'eos_token'))),
  };
};

/** How text is changed and cut, as the vocabulary's kind has it. */
const textFields = (path: string, { model }: Vocabulary, steps: TextSteps) => {
  const { normalizer, splits, byteSplits, spacePrefix } = steps;
  if (model === 'bert' ? !steps.isBert || splits.length > 0 : steps.isBert) {
    unsupportedPart(path, { model, splits }, 'BertPreTokenizer, alone, is what goes with WordPiece');
  }
  if ((model === 'llama' || model === 't5') && !steps.marksSpaces) {
    unsupportedPart(
      path,
      { model },
      'BPE needs ByteLevel, or like Unigram a Metaspace or a Replace of spaces by U+2581',
    );
  }
  if (steps.mergesSpaces && model !== 't5') unsupportedPart(path, { model }, 'WhitespaceSplit goes with Unigram');
  return {
    addSpacePrefix: spacePrefix !== 'never',
    ...(spacePrefix === 'first' ? { onlyFirstSpacePrefix: true } : {}),
    ...(steps.noSecondSpacePrefix && spacePrefix !== 'never' ? { noSecondSpacePrefix: true } : {}),
    ...(steps.mergesSpaces ? { mergesSpaces: true } : {}),
    ...(normalizer.length > 0 ? { normalizer } : {}),
    ...(byteSplits.length > 0 ? { byteSteps: byteSplits } : {}),
    ...(model === 'gpt2' || splits.length > 0 ? { preTokenizer: steps.name ?? splits } : {}),
  };
};

/** Without tokens that the model has no embedding for: it could not be fed them. */
const withinModel = (vocabulary: Vocabulary, { model }: Settings): Vocabulary => {
  const size = model.vocab_size ?? (isObject(model.text_config) ? model.text_config.vocab_size : undefined);
  if (typeof size !== 'number' || vocabulary.tokens.length <= size) return vocabulary;
  return {
    ...vocabulary,
    tokens: vocabulary.tokens.slice(0, size),
    tokenTypes: vocabulary.tokenTypes.slice(0, size),
    ...(vocabulary.scores ? { scores: vocabulary.scores.slice(0, size) } : {}),
  };
};

const specialText = ({ tokenizer, specialTokens }: Settings, key: string): string | undefined => {
  for (const value of [tokenizer[key], specialTokens[key]]) {
    const text = isObject(value) ? value.content : value;
    if (typeof text === 'string') return text;
  }
  return undefined;
};

/** The special tokens that the post-processor puts before and behind a text. */
const templateEnds = (postProcessor: unknown): readonly [first?: string | undefined, last?: string | undefined] => {
  for (const part of partsOf(postProcessor, 'processors')) {
    if (part.type === 'TemplateProcessing' && Array.isArray(part.single) && part.single.length > 1) {
      const ends = [part.single[0], part.single.at(-1)].map(templateToken);
      if (ends.some((end) => end !== undefined)) return [ends[0], ends[1]];
    }
    if ((part.type === 'BertProcessing' || part.type === 'RobertaProcessing') && Array.isArray(part.cls)) {
      return [String(part.cls[0]), Array.isArray(part.sep) ? String(part.sep[0]) : undefined];
    }
  }
  return [];
};

const templateToken = (item: unknown): string | undefined => {
  const token = isObject(item) ? item.SpecialToken : undefined;
  return isObject(token) && typeof token.id === 'string' ? token.id : undefined;
};

const endTokenIds = ({ tokens, tokenTypes }: Vocabulary, { generation, model }: Settings, eos?: number): number[] => {
  const listed = [generation.eos_token_id, model.eos_token_id].flat();
  const isToken = (id: unknown): id is number => Number.isInteger(id) && tokens[id as number] !== undefined;
  const endsTurn = turnEndsOf(tokens);
  const given = [...(eos === undefined ? [] : [eos]), ...listed.filter(isToken)];
  const ids = new Set(given.filter((id) => endsTurn(tokens[id]!) !== false));
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control && endsTurn(token) && !isTag(token)) ids.add(id);
  }
  return [...ids];
};

const readChatTemplate = async (folder: string, { tokenizer }: Settings): Promise<string | undefined> => {
  const file = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined);
  if (file !== undefined) return file;
  const { chat_template: template = (await readJsonObject(join(folder, 'chat_template.json')))?.chat_template } =
    tokenizer;
  if (!Array.isArray(template)) return typeof template === 'string' ? template : undefined;
  // Several templates: one has the name `default`; others are for tools or retrieval alone.
  const named: unknown = template.find((one: unknown) => isObject(one) && one.name === 'default');
  return isObject(named) && typeof named.template === 'string' ? named.template : undefined;
};
