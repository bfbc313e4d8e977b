/** Anthropic's content blocks: which of them are text, thoughts, calls or results, and what a model is shown of each. */
import { z } from 'zod';
import type { ChatMessage, ToolCall } from '../../runtime/api.ts';
import { cacheMark } from './anthropic-cache.ts';
import { invalidParam, optional, parseBody, unsupportedParam } from './body-schema.ts';
import { earlierArguments } from './call-arguments.ts';
import { openReasoning } from './sealed-reasoning.ts';

const block = z.looseObject({
  ...cacheMark,
  type: z.string(),
  text: optional(z.string()),
  thinking: optional(z.string()),
  signature: optional(z.unknown()),
});
export const content = z.union([z.string(), z.array(block)]);

const toolUse = z.looseObject({ id: z.string().min(1), name: z.string().min(1), input: optional(z.unknown()) });
const toolResult = z.looseObject({
  tool_use_id: z.string(),
  content: optional(content),
  is_error: optional(z.boolean()),
});
const document = z.looseObject({
  title: optional(z.string()),
  context: optional(z.string()),
  source: z.looseObject({ type: z.string() }),
});
const textSource = z.looseObject({ data: z.string() });
const contentSource = z.looseObject({ content });
const searchResult = z.looseObject({ title: optional(z.string()), source: optional(z.string()), content });
const toolReference = z.looseObject({ tool_name: z.string() });

type Block = z.output<typeof block>;
type Content = z.output<typeof content>;

/** What a message says, sorted by kind; each kind in its own order. */
export interface Turn {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly ToolCall[];
  readonly results: readonly ChatMessage[];
}

/** Between paragraphs that the client sent apart. */
export const PARAGRAPH_BREAK = '\n\n';

export const joinParagraphs = (texts: readonly string[]): string =>
  texts.filter((text) => text !== '').join(PARAGRAPH_BREAK);

/** What runs on Anthropic's servers has left marks in the history that only those can read. */
const isForeign = (type: string): boolean =>
  ['redacted_thinking', 'server_tool_use', 'mcp_tool_use', 'container_upload'].includes(type) ||
  type.endsWith('_tool_result');

/**
 * @param calls those of the messages before, by id
 * @throws EngineError invalid_request, not_supported
 */
export const readTurn = (role: string, source: Content, path: string, calls: ReadonlyMap<string, ToolCall>): Turn => {
  if (typeof source === 'string') return { text: source, reasoning: '', calls: [], results: [] };
  const turn = { texts: [] as string[], reasoning: '', calls: [] as ToolCall[], results: [] as ChatMessage[] };
  for (const [index, each] of source.entries()) {
    const place = `${path}.${index}`;
    if (role === 'assistant' && each.type === 'thinking') turn.reasoning += thoughtOf(each);
    else if (role === 'assistant' && each.type === 'tool_use') turn.calls.push(readCall(each, place));
    else if (role === 'user' && each.type === 'tool_result') turn.results.push(readResult(each, place, calls));
    else if (!isForeign(each.type)) turn.texts.push(textOf(each, place));
  }
  const { texts, ...rest } = turn;
  return { ...rest, text: role === 'system' ? joinParagraphs(texts) : texts.join('') };
};

/** The text of blocks that stand where only text can. */
export const blocksText = (source: Content | null | undefined, path: string, separator = ''): string =>
  typeof source === 'string'
    ? source
    : (source ?? []).map((each, index) => textOf(each, `${path}.${index}`)).join(separator);

/** A thought that was omitted comes back in its signature; others' signatures say nothing. */
const thoughtOf = ({ thinking, signature }: Block): string =>
  thinking || (typeof signature === 'string' ? openReasoning(signature) : undefined) || '';

const readCall = (source: Block, path: string): ToolCall => {
  const { id, name, input } = parseBody(toolUse, source, path);
  return { id, name, arguments: earlierArguments(input) };
};

const readResult = (source: Block, path: string, calls: ReadonlyMap<string, ToolCall>): ChatMessage => {
  const { tool_use_id: id, content: result, is_error: isError } = parseBody(toolResult, source, path);
  const call = calls.get(id);
  if (call === undefined) {
    throw invalidParam(
      path,
      `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a ` +
        'corresponding `tool_use` block in the previous message.',
    );
  }
  const text = blocksText(result, `${path}.content`);
  return { role: 'tool', content: isError ? asError(text) : text, name: call.name, toolCallId: id };
};

/** Templates have no place for the mark of a failed call. */
const asError = (text: string): string => (/^\W*error/i.test(text) ? text : `Error: ${text}`);

const textOf = (source: Block, path: string): string => {
  switch (source.type) {
    case 'text':
      if (typeof source.text === 'string') return source.text;
      throw invalidParam(`${path}.text`, 'Field required', 'missing_required_parameter');
    case 'document':
      return documentText(source, path);
    case 'search_result': {
      const { title, source: origin, content: found } = parseBody(searchResult, source, path);
      const text = blocksText(found, `${path}.content`, PARAGRAPH_BREAK);
      return `${joinParagraphs([title ?? '', origin ?? '', text])}${PARAGRAPH_BREAK}`;
    }
    case 'tool_reference':
      return `${parseBody(toolReference, source, path).tool_name}\n`;
    default:
      throw unsupportedParam(`${path}.type`, `content blocks of type '${source.type}' are`);
  }
};

const documentText = (block: Block, path: string): string => {
  const { title, context, source } = parseBody(document, block, path);
  const text = sourceText(source, `${path}.source`);
  return `${joinParagraphs([title ?? '', context ?? '', text])}${PARAGRAPH_BREAK}`;
};

const sourceText = (source: { readonly type: string }, path: string): string => {
  if (source.type === 'text') return parseBody(textSource, source, path).data;
  if (source.type !== 'content') throw unsupportedParam(`${path}.type`, `documents of type '${source.type}' are`);
  return blocksText(parseBody(contentSource, source, path).content, `${path}.content`, PARAGRAPH_BREAK);
};
