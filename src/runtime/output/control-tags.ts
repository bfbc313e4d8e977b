/** Which tokens of a vocabulary are the tags of its model's tool format. */
import type { TokenizerDefinition } from '../../workers/tokenizer/definition.ts';
import { TOOL_FORMATS, type ToolFormatName } from './tool-formats/index.ts';

/** The format's tags by token id; empty where the vocabulary spells them out. */
export const controlTags = (
  definition: TokenizerDefinition,
  toolFormat: ToolFormatName | undefined,
): ReadonlyMap<number, string> => {
  const tags = new Set(toolFormat === undefined ? [] : TOOL_FORMATS[toolFormat].tags);
  const texts = definition.model === 'bytes' ? [] : definition.tokens;
  return new Map([...texts.entries()].filter(([, text]) => tags.has(text)));
};
