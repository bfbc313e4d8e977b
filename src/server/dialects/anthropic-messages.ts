/** Anthropic Messages: `POST /v1/messages` and `POST /v1/messages/count_tokens`. */
import { z } from 'zod';
import type { ChatPrompt, GenerationRequest, ModelDescription, OutputConstraint } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../../runtime/sampling.ts';
import { CACHE_SECONDS, cacheMark, cacheTtlOf } from './anthropic-cache.ts';
import { MessageEncoder } from './anthropic-encoder.ts';
import { anthropicError, unsupportedThread } from './anthropic-error.ts';
import { type MessageHead, messageBody } from './anthropic-message.ts';
import { promptFields, toChat } from './anthropic-prompt.ts';
import { readToolChoice, readTools, toolRequestFields } from './anthropic-tools.ts';
import { integer, invalidParam, optional, parseBody } from './body-schema.ts';
import type { CountExchange, Dialect, GenerateExchange, ParseContext } from './dialect.ts';
import { effortOfBudget, REASONING_EFFORTS, type Thinking } from './effort.ts';
import { requireTask } from './model-task.ts';
import { constraintFields, constraintOf, jsonSchema, schemaConstraint } from './output-format.ts';

const MIN_THINKING_BUDGET_TOKENS = 1024;
/** They are looked for at every token, while all other streams wait. */
const MAX_STOP_SEQUENCES = 256;

const format = optional(
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_schema'), schema: jsonSchema }),
  ]),
);

/** `omitted`: the client wants no thoughts to read; others are shown as they are. */
const display = optional(z.string());

const countBody = z.object({
  ...promptFields,
  ...toolRequestFields,
  ...constraintFields,
  model: z.string().min(1),
  ...cacheMark,
  metadata: optional(z.looseObject({ user_id: optional(z.string()) })),
  thinking: optional(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('enabled'), budget_tokens: integer(MIN_THINKING_BUDGET_TOKENS), display }),
      z.object({ type: z.enum(['disabled', 'adaptive', 'between_tools']), display }),
    ]),
  ),
  output_config: optional(
    z.looseObject({ effort: optional(z.enum(['low', 'medium', 'high', 'xhigh', 'max'])), format }),
  ),
  output_format: format,
  thread: optional(z.unknown()),
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
type MessagesBody = z.output<typeof messagesBody>;

/** Any Claude means "the model that is loaded": clients of this dialect have such names built in. */
const checkModel = (name: string, model: ModelDescription): void => {
  if (name !== model.id && !isClaudeName(name)) {
    throw new EngineError('model_not_found', `model: ${name} does not exist, this server has ${model.id}`, {
      param: 'model',
    });
  }
  requireTask('generate', model);
};

export const isClaudeName = (name: string): boolean => name.startsWith('claude-');

/** Beside tools, the text's alone. */
const readConstraint = (body: MessagesBody): OutputConstraint | undefined => {
  const [param, wanted] = body.output_config?.format
    ? ['output_config.format', body.output_config.format]
    : ['output_format', body.output_format];
  return constraintOf(
    body,
    wanted?.type === 'json_schema' ? schemaConstraint(wanted.schema, `${param}.schema`) : undefined,
    param,
  );
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
  if (body.thread) throw unsupportedThread();
  const tools = readTools(body);
  return { kind: 'chat', ...toChat(body), ...(tools.length === 0 ? {} : { tools }), ...thinkingOf(body) };
};

/** The first version without sampling fields. Versions are dates. */
const WITHOUT_SAMPLING = '2026-10-21';

/** Clients send the fields with any version, so they are honoured unless the server is told otherwise. */
const refuseSampling = (body: MessagesBody, strictVersion = ''): void => {
  if (strictVersion < WITHOUT_SAMPLING) return;
  for (const param of ['temperature', 'top_p', 'top_k'] as const) {
    if (typeof body[param] === 'number') throw invalidParam(param, 'Extra inputs are not permitted');
  }
};

const parseMessages = (raw: unknown, context: ParseContext): GenerateExchange => {
  const body = parseBody(messagesBody, raw);
  refuseSampling(body, context.strictVersion);
  const request = requestOf(body, promptOf(body, context.model), context);
  const { requestId, model } = context;
  const cacheTtl = cacheTtlOf(body);
  const head: MessageHead = {
    id: `msg_${requestId.replace(/^req_/, '')}`,
    model: body.model,
    requestId,
    maxTokens: body.max_tokens,
    contextLength: model.contextLength,
    cacheTtl,
    omitsThinking: body.thinking?.display === 'omitted',
  };
  return {
    kind: 'generate',
    requests: [request],
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

const requestOf = (body: MessagesBody, prompt: ChatPrompt, { requestId }: ParseContext): GenerationRequest => {
  const { max_tokens: maxTokens, thinking } = body;
  const budget = thinking?.type === 'enabled' ? thinking.budget_tokens : undefined;
  if (budget !== undefined && budget >= maxTokens)
    throw invalidParam('max_tokens', `must be greater than thinking.budget_tokens: ${maxTokens} against ${budget}`);
  const toolChoice = readToolChoice(body, prompt.tools ?? []);
  const constraint = readConstraint(body);
  return {
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
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(budget === undefined ? {} : { reasoningBudgetTokens: budget }),
  };
};

const parseCount = (raw: unknown, { model }: ParseContext): CountExchange => {
  const body = parseBody(countBody, raw);
  const { tools, ...prompt } = promptOf(body, model);
  const choice = readToolChoice(body, tools ?? []);
  return {
    kind: 'count',
    // A model that may not call is not shown its tools.
    prompt: tools === undefined || choice?.mode === 'none' ? prompt : { ...prompt, tools },
    response: (numTokens) => ({ input_tokens: numTokens }),
  };
};

export const anthropicMessages: Dialect = {
  name: 'anthropic-messages',
  vendor: 'anthropic',
  routes: [
    {
      path: '/v1/messages',
      operation: {
        id: 'createMessage',
        summary: 'An answer in a conversation (Anthropic)',
        answer: 'Message',
        events: 'MessageStreamEvent',
      },
      body: messagesBody,
      parse: parseMessages,
    },
    {
      path: '/v1/messages/count_tokens',
      operation: { id: 'countMessageTokens', summary: 'Tokens of a prompt (Anthropic)', answer: 'MessageTokens' },
      body: countBody,
      parse: parseCount,
    },
  ],
  headers: () => ({}),
  error: anthropicError,
};
