/** Reads the chat template that `--chat-template` names. */
import { readFile } from 'node:fs/promises';
import { ChatTemplate } from '../workers/chat-template.ts';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import { EngineError } from './errors.ts';

const NO_TOKENS = { bosText: '', eosText: '', guarded: { control: [], tags: [] } };

/**
 * The definition with the file's template in place of the model's own.
 * @throws EngineError config_invalid, naming the file: it cannot be read, is empty, is no Jinja template, or does not end
 */
export const withChatTemplate = async (definition: TokenizerDefinition, path: string): Promise<TokenizerDefinition> => {
  const invalid = (reason: string, cause?: unknown): EngineError =>
    new EngineError('config_invalid', `--chat-template ${path}: ${reason}`, {}, { cause });
  let chatTemplate: string;
  try {
    chatTemplate = await readFile(path, 'utf8');
  } catch (cause) {
    throw invalid(`the file cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (chatTemplate.trim() === '') throw invalid('the file is empty; it must hold a Jinja template');
  try {
    new ChatTemplate(chatTemplate, NO_TOKENS);
  } catch (cause) {
    if (cause instanceof EngineError) throw invalid(cause.message, cause);
    throw cause;
  }
  return { ...definition, chatTemplate };
};
