/** The prompts of a legacy completion: text, token ids, or a list of either. */
import type { FillPrompt, TextPrompt, TokensPrompt } from '../../runtime/api.ts';
import { invalidParam } from './body-schema.ts';

type CompletionPrompt = TextPrompt | TokensPrompt | FillPrompt;

/**
 * One for each prompt of the body, in order.
 * @param suffix what follows the text to be made; empty: nothing
 * @throws EngineError invalid_request
 */
export const readPrompts = (
  source: string | readonly unknown[],
  suffix: string,
  vocabularySize: number,
): readonly CompletionPrompt[] => {
  const prompts = listOf(source, vocabularySize);
  return prompts.map((prompt, index) => {
    if (typeof prompt === 'string')
      return suffix === '' ? { kind: 'text', text: prompt } : { kind: 'fill', prefix: prompt, suffix };
    if (suffix === '') return { kind: 'tokens', tokenIds: prompt };
    throw invalidParam('suffix', `needs a prompt of text, and prompt ${index} has token ids`);
  });
};

const listOf = (source: string | readonly unknown[], size: number): readonly (string | readonly number[])[] => {
  if (typeof source === 'string') return [source];
  const [first] = source;
  if (source.length === 0) throw invalidParam('prompt', 'must have at least 1 items', 'array_below_min_length');
  if (typeof first === 'number') return [tokenIds(source, 'prompt', size)];
  return source.map((prompt, index) => {
    if (typeof prompt === typeof first && typeof prompt === 'string') return prompt;
    if (Array.isArray(prompt) && Array.isArray(first)) return tokenIds(prompt, `prompt.${index}`, size);
    throw invalidParam(`prompt.${index}`, 'must be a text or a list of token ids, as all other items', 'invalid_type');
  });
};

const tokenIds = (ids: readonly unknown[], param: string, size: number): readonly number[] => {
  if (ids.length === 0) throw invalidParam(param, 'must have at least 1 items', 'array_below_min_length');
  const index = ids.findIndex((id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= size);
  if (index < 0) return ids as readonly number[];
  const range = `must be a token id below the vocabulary's size ${size}`;
  throw invalidParam(`${param}.${index}`, `${range}, got ${JSON.stringify(ids[index])}`);
};
