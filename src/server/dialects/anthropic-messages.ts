/** Anthropic Messages: `POST /v1/messages` and `POST /v1/messages/count_tokens`. */
import { z } from 'zod';
import type { ChatPrompt, ModelDescription } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../../runtime/sampling.ts';
import { CACHE_SECONDS, cacheMark, cacheTtlOf } from './anthropic-cache.ts';
import { MessageEncoder, type MessageHead, messageBody } from './anthropic-encoder.ts';
import { anthropicError } from './anthropic-error.ts';
import { promptFields, toChat } from './anthropic-prompt.ts';
import { integer, invalidParam, optional, parseBody, unsupportedParam } from './body-schema.ts';
import type { CountExchange, Dialect, GenerateExchange, ParseContext } from './dialect.ts';
import { effortOfBudget, REASONING_EFFORTS, type Thinking } from './effort.ts';

const MIN_THINKING_BUDGET_TOKENS = 1024;
/** They are looked for at every token, while all other streams wait. */
const MAX_STOP_SEQUENCES = 256;

const format = optional(z.looseObject({ type: z.string() }));

const countBody = z.object({
  ...promptFields,
  model: z.string().min(1),
  ...cacheMark,
  metadata: optional(z.looseObject({ user_id: optional(z.string()) })),
  tools: optional(z.array(z.looseObject({ ...cacheMark, type: optional(z.string()) }))),
  tool_choice: optional(z.looseObject({ type: z.enum(['auto', 'any', 'tool', 'none']) })),
  thinking: optional(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('enabled'), budget_tokens: integer(MIN_THINKING_BUDGET_TOKENS) }),
      z.object({ type: z.enum(['disabled', 'adaptive', 'between_tools']) }),
    ]),
  ),
  output_config: optional(
    z.looseObject({ effort: optional(z.enum(['low', 'medium', 'high', 'xhigh', 'max'])), format }),
  ),
  output_format: format,
});

const messagesBody = countBody.extend({
  /** 0 fills the cache and says nothing. */
  max_tokens: integer(0),
  stop_sequences: optional(z.array(z.string().min(1)).max(MAX_STOP_SEQUENCES)),
  stream: optional(z.boolean()),
  temperature: optional(z.number().min(0).max(1)),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(integer(0)),
});

type CountBody = z.output<typeof countBody>;

/** Any Claude means "the model that is loaded": clients of this dialect have such names built in. */
const checkModel = (name: string, model: ModelDescription): void => {
  if (name === model.id || isClaudeName(name)) return;
  throw new EngineError('model_not_found', `model: ${name} does not exist, this server has ${model.id}`, {
    param: 'model',
  });
};

export const isClaudeName = (name: string): boolean => name.startsWith('claude-');

/** Tools with a type of their own run on Anthropic's servers; they are skipped, as everywhere else. */
const isClientTool = ({ type }: { type?: string | null | undefined }): boolean => !type || type === 'custom';

const refuseUnsupported = (body: CountBody): void => {
  const choice = body.tool_choice?.type ?? 'auto';
  if (choice !== 'none' && body.tools?.some(isClientTool)) throw unsupportedParam('tools', 'tool calls are');
  if (choice === 'any' || choice === 'tool') throw unsupportedParam('tool_choice', 'tool calls are');
  if (body.output_config?.format && body.output_config.format.type !== 'text')
    throw unsupportedParam('output_config.format', 'structured output is');
  if (body.output_format && body.output_format.type !== 'text')
    throw unsupportedParam('output_format', 'structured output is');
};

/** Adaptive thinking is the model's own default. */
const thinkingOf = ({ thinking, output_config: outputConfig }: CountBody): Thinking => {
  const effort = outputConfig?.effort ? { reasoningEffort: REASONING_EFFORTS[outputConfig.effort] } : {};
  if (thinking?.type === 'disabled') return { ...effort, enableThinking: false };
  if (thinking?.type !== 'enabled') return effort;
  return { reasoningEffort: effortOfBudget(thinking.budget_tokens), ...effort, enableThinking: true };
};

const promptOf = (body: CountBody, model: ModelDescription): ChatPrompt => {
  checkModel(body.model, model);
  if (!model.hasChatTemplate) {
    throw new EngineError(
      'not_supported',
      `messages: the model '${model.id}' has no chat template; send plain text to /v1/completions instead`,
      { param: 'messages' },
    );
  }
  refuseUnsupported(body);
  return { kind: 'chat', ...toChat(body), ...thinkingOf(body) };
};

const parseMessages = (raw: unknown, context: ParseContext): GenerateExchange => {
  const body = parseBody(messagesBody, raw);
  const prompt = promptOf(body, context.model);
  const maxTokens = body.max_tokens;
  if (body.thinking?.type === 'enabled' && body.thinking.budget_tokens >= maxTokens) {
    const budget = body.thinking.budget_tokens;
    throw invalidParam('max_tokens', `must be greater than thinking.budget_tokens: ${maxTokens} against ${budget}`);
  }
  const { requestId, model } = context;
  const { contextLength } = model;
  const cacheTtl = cacheTtlOf(body);
  const head: MessageHead = {
    id: `msg_${requestId.replace(/^req_/, '')}`,
    model: body.model,
    requestId,
    maxTokens,
    contextLength,
    cacheTtl,
  };
  return {
    kind: 'generate',
    requests: [
      {
        id: requestId,
        prompt,
        maxTokens,
        stop: body.stop_sequences ?? [],
        sampling: {
          ...DEFAULT_SAMPLING,
          temperature: body.temperature ?? DEFAULT_SAMPLING.temperature,
          topP: body.top_p ?? DEFAULT_SAMPLING.topP,
          topK: body.top_k ?? DEFAULT_SAMPLING.topK,
        },
      },
    ],
    hints: {
      sessions: { 'metadata.user_id': body.metadata?.user_id },
      pinSeconds: cacheTtl && CACHE_SECONDS[cacheTtl],
    },
    stream: body.stream ?? false,
    encoder: () => new MessageEncoder(head),
    response: ([answer]) => {
      if (answer === undefined) throw new EngineError('internal', 'a message needs one answer');
      return messageBody(head, answer);
    },
  };
};

const parseCount = (raw: unknown, { model }: ParseContext): CountExchange => ({
  kind: 'count',
  prompt: promptOf(parseBody(countBody, raw), model),
  response: (numTokens) => ({ input_tokens: numTokens }),
});

export const anthropicMessages: Dialect = {
  name: 'anthropic-messages',
  routes: [
    {
      path: '/v1/messages',
      summary: 'An answer in a conversation (Anthropic)',
      body: messagesBody,
      parse: parseMessages,
    },
    {
      path: '/v1/messages/count_tokens',
      summary: 'Tokens of a prompt (Anthropic)',
      body: countBody,
      parse: parseCount,
    },
  ],
  headers: () => ({}),
  error: anthropicError,
};
