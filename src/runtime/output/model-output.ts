/** How a loaded model writes its answers, and what of that a request makes use of. */
import type { TokenizerDefinition } from '../../workers/tokenizer/definition.ts';
import type { GenerationRequest, ToolDefinition } from '../api.ts';
import type { OutputFormat, ReasoningFormat } from './parser.ts';
import { detectToolFormat, TOOL_FORMATS, type ToolFormatName } from './tool-formats/index.ts';

export interface ModelOutput {
  readonly reasoning: ReasoningFormat;
  /** Absent: the model calls no tools, or in a form that is not read. */
  readonly toolFormat?: ToolFormatName;
  /** The format's tags that are tokens of their own, by token id. */
  readonly tags: ReadonlyMap<number, string>;
}

export interface ModelOutputOptions {
  /** Absent: as the vocabulary and the chat template have it. */
  readonly reasoning?: ReasoningFormat;
  /** `auto`: as the chat template has it. */
  readonly toolFormat?: ToolFormatName | 'auto' | 'none';
}

export const modelOutput = (
  definition: TokenizerDefinition,
  { reasoning, toolFormat: wanted = 'auto' }: ModelOutputOptions = {},
): ModelOutput => {
  const detected = wanted === 'auto' ? detectToolFormat(definition.chatTemplate ?? '') : wanted;
  const toolFormat = detected === 'none' ? undefined : detected;
  const isHarmony = toolFormat === 'harmony' || detectToolFormat(definition.chatTemplate ?? '') === 'harmony';
  return {
    reasoning: reasoning ?? (isHarmony ? 'harmony' : thinks(definition) ? 'think' : 'none'),
    ...(toolFormat === undefined ? {} : { toolFormat }),
    tags: tagIds(definition, isHarmony || reasoning === 'harmony' ? 'harmony' : toolFormat),
  };
};

/** A model thinks in tags when its template writes them, or its vocabulary has them as tokens. */
const thinks = (definition: TokenizerDefinition): boolean => {
  const hasToken = definition.model !== 'bytes' && definition.tokens.includes('<think>');
  return hasToken || (definition.chatTemplate?.includes('<think>') ?? false);
};

const tagIds = (definition: TokenizerDefinition, format: ToolFormatName | undefined): ReadonlyMap<number, string> => {
  const tags = new Set(format === undefined ? [] : TOOL_FORMATS[format].tags);
  if (definition.model !== 'bytes')
    return new Map([...definition.tokens.entries()].filter(([, text]) => tags.has(text)));
  return new Map(
    Object.entries(definition.specialTokens ?? {}).flatMap(([text, id]) => (tags.has(text) ? [[id, text]] : [])),
  );
};

/** The tools that a request lets the model call. */
export const callableTools = ({ prompt, toolChoice }: GenerationRequest): readonly ToolDefinition[] => {
  if (prompt.kind !== 'chat' || toolChoice?.mode === 'none') return [];
  const { tools = [] } = prompt;
  return toolChoice?.names ? tools.filter(({ name }) => toolChoice.names!.includes(name)) : tools;
};

/** What may not be called is not shown to the model either: nothing else keeps it from trying, in text. */
export const withoutForbiddenTools = (request: GenerationRequest): GenerationRequest => {
  if (request.prompt.kind !== 'chat' || request.toolChoice?.mode !== 'none') return request;
  const { tools: _, ...prompt } = request.prompt;
  return { ...request, prompt };
};

/** Prompts that no chat template rendered are answered in text as it is. */
export const outputFormat = (
  { reasoning, toolFormat, tags }: ModelOutput,
  request: GenerationRequest,
  reasoningOpened: boolean,
): OutputFormat => {
  const { prompt, stop } = request;
  if (prompt.kind !== 'chat') return { reasoning: 'none', reasoningOpened, stop };
  const tools = toolFormat === undefined ? [] : callableTools(request);
  return { reasoning, reasoningOpened, stop, toolFormat, tools, tags, isContinued: prompt.continueFinalMessage };
};
