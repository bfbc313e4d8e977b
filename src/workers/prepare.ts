/** From a prompt as requests have it to the token ids that the model is fed. */
import type { ChatPrompt, Prompt } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { ChatTemplate, contentText } from './chat-template.ts';
import type { ByteDefinition, TokenizerDefinition, VocabularyDefinition } from './tokenizer/definition.ts';
import { createTokenizer } from './tokenizer/tokenizer.ts';

export interface PreparedPrompt {
  readonly tokenIds: Uint32Array;
  /** The prompt ends inside a reasoning block: the answer begins with reasoning, without a tag. */
  readonly reasoningOpened: boolean;
}

/**
 * Builds the tokenizer. What it returns renders and tokenizes:
 * - token ids stay as they are;
 * - in a text, special tokens count, since people write templates out by hand for completions;
 * - in a chat, they count only where the template put them.
 * BOS goes before texts and chats that lack it, where the model wants one.
 * @throws EngineError model_unsupported, model_file_invalid: no such tokenizer can be built
 */
export const createPrepare = (definition: TokenizerDefinition): ((prompt: Prompt) => PreparedPrompt) => {
  const tokenizer = createTokenizer(definition);
  const chat = definition.model === 'bytes' ? byteChat(definition) : templateChat(definition, tokenizer);
  return (prompt) => {
    if (prompt.kind === 'chat') return chat(prompt);
    if (prompt.kind === 'tokens') return prepared(Uint32Array.from(prompt.tokenIds));
    return prepared(withBos(tokenizer.encode(prompt.text, { parseSpecial: true }), definition));
  };
};

const prepared = (tokenIds: Uint32Array, reasoningOpened = false): PreparedPrompt => ({ tokenIds, reasoningOpened });

const withBos = (tokenIds: Uint32Array, { addBos, bosTokenId }: TokenizerDefinition): Uint32Array =>
  addBos && bosTokenId !== undefined && tokenIds[0] !== bosTokenId
    ? joined([Uint32Array.of(bosTokenId), tokenIds])
    : tokenIds;

/** The template is read when a conversation first needs it: a broken one leaves completions usable. */
const templateChat = (
  definition: VocabularyDefinition,
  tokenizer: ReturnType<typeof createTokenizer>,
): ((prompt: ChatPrompt) => PreparedPrompt) => {
  const { chatTemplate, bosTokenId, endTokenIds, tokens } = definition;
  let template: ChatTemplate | undefined;
  return (prompt) => {
    if (chatTemplate === undefined) {
      throw new EngineError('invalid_request', 'this model has no chat template; use /v1/completions');
    }
    template ??= new ChatTemplate(chatTemplate, {
      bosText: tokens[bosTokenId ?? -1] ?? '',
      eosText: tokens[endTokenIds[0] ?? -1] ?? '',
      guarded: {
        control: tokens.filter((_, id) => tokenizer.isControl(id)),
        tags: tokenizer.specialTexts,
      },
    });
    const { segments, reasoningOpened } = template.render(prompt);
    return prepared(withBos(tokenizer.encodeSegments(segments), definition), reasoningOpened);
  };
};

/** The scripted model's conversation: a marker for the role, then the text's bytes; at the end the assistant's marker. */
const byteChat = ({ roleTokenIds }: ByteDefinition): ((prompt: ChatPrompt) => PreparedPrompt) => {
  const encoder = new TextEncoder();
  return ({ messages, continueFinalMessage }) => {
    const parts = messages.map(({ role, content }) => {
      const bytes = encoder.encode(contentText(content));
      const ids = new Uint32Array(bytes.length + 1);
      ids[0] = roleTokenIds[role];
      ids.set(bytes, 1);
      return ids;
    });
    if (!continueFinalMessage) parts.push(Uint32Array.of(roleTokenIds.assistant));
    return prepared(joined(parts));
  };
};

const joined = (parts: readonly Uint32Array[]): Uint32Array => {
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
};
