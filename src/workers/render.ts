/** From a conversation to the text that the model reads: its own chat template, or none for the scripted model. */
import type { ChatPrompt, Role } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { ChatTemplate, contentText, type RenderedChat } from './chat-template.ts';
import type { ByteDefinition, TokenizerDefinition, VocabularyDefinition } from './tokenizer/definition.ts';
import type { Segment } from './tokenizer/special-tokens.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';

/** @throws EngineError invalid_request, model_unsupported */
export type Render = (prompt: ChatPrompt) => RenderedChat;

/** The template is read when a conversation first needs it: a broken one leaves completions usable. */
export const createRender = (definition: TokenizerDefinition, tokenizer: Tokenizer): Render => {
  if (definition.model === 'bytes') return byteRender(definition);
  let template: ChatTemplate | undefined;
  return (prompt) => {
    template ??= readTemplate(definition, tokenizer);
    return template.render(prompt);
  };
};

/** The whole text of a rendered conversation. */
export const segmentsText = (segments: readonly Segment[]): string => segments.map(({ text }) => text).join('');

const readTemplate = (definition: VocabularyDefinition, tokenizer: Tokenizer): ChatTemplate => {
  const { chatTemplate, bosTokenId, endTokenIds, tokens } = definition;
  if (chatTemplate === undefined) {
    throw new EngineError('invalid_request', 'this model has no chat template; use /v1/completions');
  }
  return new ChatTemplate(chatTemplate, {
    bosText: tokens[bosTokenId ?? -1] ?? '',
    eosText: tokens[endTokenIds[0] ?? -1] ?? '',
    guarded: {
      control: tokens.filter((_, id) => tokenizer.isControl(id)),
      tags: tokenizer.specialTexts,
    },
  });
};

/** The markers between the scripted model's messages have no text. */
const byteRender =
  ({ opensReasoning = false }: ByteDefinition): Render =>
  (prompt) => ({
    segments: byteMessages(prompt).map(({ text }) => ({ text, isLiteral: true })),
    reasoningOpened: opensReasoning && prompt.enableThinking !== false && !prompt.continueFinalMessage,
    mayReason: prompt.enableThinking !== false,
  });

/** What the scripted model is told: the tools before all else, and calls in the message that made them, as JSON. */
export const byteMessages = ({ messages, tools = [] }: ChatPrompt): readonly { role: Role; text: string }[] => {
  const told = messages.map(({ role, content, toolCalls = [] }) => {
    const calls = toolCalls.map((call) => JSON.stringify({ name: call.name, arguments: call.arguments }));
    return { role, text: [contentText(content), ...calls].filter((text) => text !== '').join('\n') };
  });
  const offered = tools.map((tool) => JSON.stringify(tool)).join('\n');
  return tools.length === 0 ? told : [{ role: 'system', text: offered }, ...told];
};
