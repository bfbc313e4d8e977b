/** From a prompt as requests have it to the token ids that the model is fed. */
import type { ChatPrompt, Prompt } from '../runtime/api.ts';
import { fillMiddle } from './fill-middle.ts';
import { byteMessages, createRender, type Render } from './render.ts';
import type { ByteDefinition, TokenizerDefinition } from './tokenizer/definition.ts';
import type { PromptPart, Segment } from './tokenizer/special-tokens.ts';
import { joinTokens } from './tokenizer/token-buffer.ts';
import { createTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts';

export interface PreparedPrompt {
  readonly tokenIds: Uint32Array;
  /** The prompt ends inside a reasoning block: the answer begins with reasoning, without a tag. */
  readonly reasoningOpened: boolean;
  /** False: thinking was turned off, or is off where nothing is said of it. */
  readonly mayReason: boolean;
  /** Of a long prompt: what can be encoded apart, whose tokens follow. */
  readonly remaining?: readonly PromptPart[];
}

/**
 * Builds the tokenizer. What it returns renders and tokenizes:
 * - token ids stay as they are;
 * - in a text, special tokens count, since people write templates out by hand for completions;
 * - in a chat, they count only where the template put them;
 * - a gap to fill stands between the tokens that the model has for that, and in its texts none count.
 * BOS goes before texts and chats that lack it, where the model wants one.
 * Prompts of more than `partLength` characters are left in parts where the vocabulary allows it.
 * @throws EngineError model_unsupported, model_file_invalid: no such tokenizer can be built
 */
export const createPrepare = (
  definition: TokenizerDefinition,
  tokenizer: Tokenizer = createTokenizer(definition),
  partLength = Number.POSITIVE_INFINITY,
  render: Render = createRender(definition, tokenizer),
): ((prompt: Prompt) => PreparedPrompt) => {
  const encodeBytes = definition.model === 'bytes' ? byteChat(definition, render) : undefined;
  const chat = (prompt: ChatPrompt): PreparedPrompt => {
    if (encodeBytes) return encodeBytes(prompt);
    const { segments, reasoningOpened, mayReason } = render(prompt);
    return { ...tokenized(segments, definition, tokenizer, partLength), reasoningOpened, mayReason };
  };
  return (prompt) => {
    if (prompt.kind === 'chat') return chat(prompt);
    if (prompt.kind === 'tokens') return prepared(Uint32Array.from(prompt.tokenIds));
    if (prompt.kind === 'fill') return prepared(withBos(fillMiddle(prompt, definition, tokenizer), definition));
    const { text, addSpecial = true, parseSpecial = true } = prompt;
    const added = addSpecial ? definition : { ...definition, addBos: false };
    return tokenized([{ text, isLiteral: !parseSpecial }], added, tokenizer, partLength);
  };
};

const prepared = (tokenIds: Uint32Array): PreparedPrompt => ({ tokenIds, reasoningOpened: false, mayReason: true });

const tokenized = (
  segments: readonly Segment[],
  definition: TokenizerDefinition,
  tokenizer: Tokenizer,
  partLength: number,
): PreparedPrompt => {
  const remaining = tokenizer.parts(segments, partLength);
  if (remaining.length === 1) return prepared(withBos(tokenizer.encodePart(remaining[0]!), definition));
  const first = remaining[0]?.[0];
  const hasBos = first !== undefined && 'tokenId' in first && first.tokenId === definition.bosTokenId;
  return { ...prepared(hasBos ? new Uint32Array() : withBos(new Uint32Array(), definition)), remaining };
};

const withBos = (tokenIds: Uint32Array, { addBos, bosTokenId }: TokenizerDefinition): Uint32Array =>
  addBos && bosTokenId !== undefined && tokenIds[0] !== bosTokenId
    ? joinTokens([Uint32Array.of(bosTokenId), tokenIds])
    : tokenIds;

/** The scripted model's conversation: a marker for the role, then the text's bytes; at the end the assistant's marker. */
const byteChat = ({ roleTokenIds }: ByteDefinition, render: Render): ((prompt: ChatPrompt) => PreparedPrompt) => {
  const encoder = new TextEncoder();
  return (prompt) => {
    const parts = byteMessages(prompt).map(({ role, text }) => {
      const bytes = encoder.encode(text);
      const ids = new Uint32Array(bytes.length + 1);
      ids[0] = roleTokenIds[role];
      ids.set(bytes, 1);
      return ids;
    });
    if (!prompt.continueFinalMessage) parts.push(Uint32Array.of(roleTokenIds.assistant));
    const { reasoningOpened, mayReason } = render(prompt);
    return { tokenIds: joinTokens(parts), reasoningOpened, mayReason };
  };
};
