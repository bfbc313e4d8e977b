/** `truncation: "auto"`: a conversation that is too long loses its beginning, and keeps its instructions. */
import type { ChatMessage, ChatPrompt } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';

/**
 * The prompt without its first messages, by as much as the error says is too much; undefined when only the last message is
 * left. Tokens are estimated from characters: what is still too long is cut once more.
 * @param numInstructions messages at the beginning that stay
 */
export const truncated = (prompt: ChatPrompt, numInstructions: number, error: EngineError): ChatPrompt | undefined => {
  const { promptTokens, contextLength, maxTokens = 1 } = error.details;
  if (error.code !== 'context_length_exceeded' || promptTokens === undefined || contextLength === undefined)
    return undefined;
  const instructions = prompt.messages.slice(0, numInstructions);
  const turns = prompt.messages.slice(numInstructions);
  const share = Math.min(1, (promptTokens + maxTokens - contextLength) / promptTokens);
  const numExcess = share * prompt.messages.reduce((sum, message) => sum + lengthOf(message), 0);
  let numDropped = 0;
  let numCharacters = 0;
  while (numDropped < turns.length && (numDropped === 0 || numCharacters < numExcess)) {
    numCharacters += lengthOf(turns[numDropped++]!);
  }
  numDropped = Math.min(numDropped, turns.length - 1);
  // Templates want a user to begin, and no result without its call.
  const nextUser = turns.findIndex(({ role }, index) => index >= numDropped && role === 'user');
  if (nextUser >= 0) numDropped = nextUser;
  while (turns[numDropped]?.role === 'tool') numDropped++;
  if (numDropped <= 0 || numDropped >= turns.length) return undefined;
  return { ...prompt, messages: [...instructions, ...turns.slice(numDropped)] };
};

const lengthOf = ({ content, reasoning = '', toolCalls = [] }: ChatMessage): number => {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('');
  return text.length + reasoning.length + (toolCalls.length === 0 ? 0 : JSON.stringify(toolCalls).length);
};
