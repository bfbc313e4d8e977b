/** OpenAI Chat Completions: `POST /v1/chat/completions`. */
import { z } from 'zod';
import type { ChatMessage, ChatPrompt, GenerationEvent, ModelDescription, TextPart, Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { textOf, totalUsage } from './answer.ts';
import { integer, invalidParam, optional, parseBody, unsupportedParam } from './body-schema.ts';
import type { Answer, Dialect, Encoder, Frame, GenerateExchange, ParseContext } from './dialect.ts';
import { EFFORTS, type Thinking, thinkingOfEffort } from './effort.ts';
import {
  cacheFields,
  cacheHintsOf,
  checkModel,
  FINISH_REASONS,
  fingerprintOf,
  logprobsBody,
  openaiError,
  openaiHeaders,
  type StreamOptions,
  samplingFields,
  samplingOf,
  seedOfChoice,
  stopStrings,
  usageBody,
} from './openai.ts';

const part = z.looseObject({ type: z.string(), text: optional(z.string()), refusal: optional(z.string()) });
const content = z.union([z.string(), z.array(part)]);

const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name: optional(z.string()) }),
  z.object({
    role: z.literal('assistant'),
    content: optional(content),
    name: optional(z.string()),
    refusal: optional(z.string()),
    reasoning_content: optional(z.string()),
    reasoning: optional(z.string()),
    tool_calls: optional(z.array(z.unknown())),
    function_call: optional(z.unknown()),
    audio: optional(z.unknown()),
  }),
  z.object({ role: z.literal('tool') }),
  z.object({ role: z.literal('function') }),
]);

const chatBody = z.object({
  ...samplingFields,
  ...cacheFields,
  messages: z.array(message).min(1),
  max_tokens: optional(integer(1)),
  max_completion_tokens: optional(integer(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(integer(0, 20)),
  reasoning_effort: optional(z.enum(EFFORTS)),
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
  response_format: optional(z.looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) })),
  tools: optional(z.array(z.unknown())),
  tool_choice: optional(z.union([z.enum(['none', 'auto', 'required']), z.looseObject({ type: z.string() })])),
  functions: optional(z.array(z.unknown())),
  function_call: optional(z.union([z.string(), z.looseObject({})])),
  modalities: optional(z.array(z.string())),
  audio: optional(z.unknown()),
});

type ChatBody = z.output<typeof chatBody>;
type Message = z.output<typeof message>;

const refuseUnsupported = (body: ChatBody): void => {
  if (body.tool_choice !== 'none') {
    if ((body.tools ?? []).length > 0) throw unsupportedParam('tools', 'tool calls are');
    if (body.tool_choice === 'required')
      throw invalidParam('tool_choice', "'required' needs tools, and none are given");
    if (typeof body.tool_choice === 'object' && body.tool_choice !== null)
      throw unsupportedParam('tool_choice', 'tool calls are');
  }
  if ((body.functions ?? []).length > 0 && body.function_call !== 'none')
    throw unsupportedParam('functions', 'function calls are');
  if (body.response_format && body.response_format.type !== 'text')
    throw unsupportedParam('response_format', `structured output ('${body.response_format.type}') is`);
  if (body.audio !== null && body.audio !== undefined) throw unsupportedParam('audio', 'audio output is');
  if (body.modalities?.some((modality) => modality !== 'text'))
    throw unsupportedParam('modalities', 'output other than text is');
};

const textParts = (parts: readonly z.output<typeof part>[], path: string): readonly TextPart[] =>
  parts.map(({ type, text, refusal }, index) => {
    const value = type === 'text' ? text : type === 'refusal' ? refusal : undefined;
    if (value !== undefined && value !== null) return { type: 'text', text: value };
    if (type === 'text' || type === 'refusal')
      throw invalidParam(`${path}.${index}.${type}`, 'Field required', 'missing_required_parameter');
    throw unsupportedParam(`${path}.${index}.type`, `content parts of type '${type}' are`);
  });

const toChatMessage = (source: Message, index: number): ChatMessage => {
  const path = `messages.${index}`;
  if (source.role === 'tool' || source.role === 'function')
    throw unsupportedParam(`${path}.role`, `messages of role '${source.role}' are`);
  const isAssistant = source.role === 'assistant';
  if (isAssistant && (source.tool_calls ?? []).length > 0)
    throw unsupportedParam(`${path}.tool_calls`, 'tool calls are');
  if (isAssistant && source.function_call) throw unsupportedParam(`${path}.function_call`, 'function calls are');
  if (isAssistant && source.audio) throw unsupportedParam(`${path}.audio`, 'audio is');
  const content = source.content ?? (isAssistant ? source.refusal : undefined) ?? '';
  const reasoning = isAssistant ? (source.reasoning_content ?? source.reasoning) : undefined;
  return {
    role: source.role,
    content: typeof content === 'string' ? content : textParts(content, `${path}.content`),
    ...(reasoning ? { reasoning } : {}),
    ...(source.name ? { name: source.name } : {}),
  };
};

/** `chat_template_kwargs` speak to the template directly, so they win over `reasoning_effort`. */
const thinkingOf = (body: ChatBody): Thinking & { templateArguments?: Record<string, unknown> } => {
  const { enable_thinking: enableThinking, ...templateArguments } = body.chat_template_kwargs ?? {};
  if (enableThinking !== undefined && typeof enableThinking !== 'boolean')
    throw invalidParam('chat_template_kwargs.enable_thinking', 'must be a boolean', 'invalid_type');
  return {
    ...(body.reasoning_effort ? thinkingOfEffort(body.reasoning_effort) : {}),
    ...(enableThinking === undefined ? {} : { enableThinking }),
    ...(Object.keys(templateArguments).length === 0 ? {} : { templateArguments }),
  };
};

const requireChatTemplate = (model: ModelDescription): void => {
  if (model.hasChatTemplate) return;
  throw new EngineError(
    'not_supported',
    `the model '${model.id}' has no chat template: send plain text to /v1/completions instead`,
    { param: 'messages' },
  );
};

const parse = (raw: unknown, context: ParseContext): GenerateExchange => {
  const body = parseBody(chatBody, raw);
  checkModel(body.model, context.model);
  requireChatTemplate(context.model);
  refuseUnsupported(body);
  if (body.top_logprobs && !body.logprobs) throw invalidParam('top_logprobs', 'needs logprobs to be true');
  const prompt: ChatPrompt = {
    kind: 'chat',
    messages: body.messages.map(toChatMessage),
    continueFinalMessage: false,
    ...thinkingOf(body),
  };
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const sampling = samplingOf(body, context.model);
  const id = `chatcmpl-${context.requestId.replace(/^req_/, '')}`;
  return {
    kind: 'generate',
    requests: Array.from({ length: body.n ?? 1 }, (_, choice) => ({
      id: `${context.requestId}-${choice}`,
      prompt,
      stop: stopStrings(body.stop),
      ...(maxTokens === undefined || maxTokens === null ? {} : { maxTokens }),
      sampling: {
        ...sampling,
        ...(body.seed === undefined || body.seed === null ? {} : { seed: seedOfChoice(body.seed, choice) }),
        ...(body.logprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
      },
    })),
    hints: cacheHintsOf(body),
    stream: body.stream ?? false,
    encoder: () =>
      new ChatEncoder(id, context, {
        numChoices: body.n ?? 1,
        withUsage: body.stream_options?.include_usage ?? false,
      }),
    response: (answers) => ({
      ...envelope(id, 'chat.completion', context),
      choices: answers.map((answer, index) => choiceBody(answer, index, body.logprobs ?? false)),
      usage: usageBody(totalUsage(answers.map((answer) => answer.finish.usage))),
    }),
  };
};

const envelope = (id: string, object: string, { createdAt, model }: ParseContext) => ({
  id,
  object,
  created: createdAt,
  model: model.id,
  system_fingerprint: fingerprintOf(model),
});

/** Clients disagree on the name, so reasoning goes out under both. */
const reasoningFields = (text: string) => ({ reasoning_content: text, reasoning: text });

const choiceBody = (answer: Answer, index: number, withLogprobs: boolean): object => {
  const reasoning = textOf(answer, 'reasoning');
  return {
    index,
    message: {
      role: 'assistant',
      content: textOf(answer, 'text'),
      refusal: null,
      ...(reasoning === '' ? {} : reasoningFields(reasoning)),
    },
    logprobs: withLogprobs ? logprobsBody(answer.logprobs) : null,
    finish_reason: FINISH_REASONS[answer.finish.reason],
  };
};

class ChatEncoder implements Encoder {
  readonly #envelope: object;
  readonly #numChoices: number;
  readonly #withUsage: boolean;
  readonly #usages: Usage[] = [];

  constructor(id: string, context: ParseContext, { numChoices, withUsage }: StreamOptions) {
    this.#envelope = envelope(id, 'chat.completion.chunk', context);
    this.#numChoices = numChoices;
    this.#withUsage = withUsage;
  }

  begin(): readonly Frame[] {
    const role = { role: 'assistant', content: '' };
    return Array.from({ length: this.#numChoices }, (_, choice) => this.#chunk(choice, role));
  }

  event(choice: number, event: GenerationEvent): readonly Frame[] {
    switch (event.type) {
      case 'start':
        return [];
      case 'reasoning':
        return event.text === '' ? [] : [this.#chunk(choice, reasoningFields(event.text))];
      case 'text':
        if (event.logprobs !== undefined)
          return [this.#chunk(choice, { content: event.text }, null, logprobsBody(event.logprobs))];
        return event.text === '' ? [] : [this.#chunk(choice, { content: event.text })];
      case 'finish':
        this.#usages[choice] = event.usage;
        return [this.#chunk(choice, {}, FINISH_REASONS[event.reason])];
      default:
        return [];
    }
  }

  end(): readonly Frame[] {
    const usage = { ...this.#envelope, choices: [], usage: usageBody(totalUsage(this.#usages)) };
    return [...(this.#withUsage ? [{ kind: 'data', payload: usage } as const] : []), { kind: 'done' }];
  }

  failure(error: EngineError): readonly Frame[] {
    return [{ kind: 'data', payload: openaiError(error).body }];
  }

  ping(): readonly Frame[] {
    return [{ kind: 'comment', text: 'ping' }];
  }

  #chunk(index: number, delta: object, finishReason: string | null = null, logprobs: object | null = null): Frame {
    return {
      kind: 'data',
      payload: {
        ...this.#envelope,
        choices: [{ index, delta, logprobs, finish_reason: finishReason }],
        ...(this.#withUsage ? { usage: null } : {}),
      },
    };
  }
}

export const openaiChat: Dialect = {
  name: 'openai-chat',
  routes: [{ path: '/v1/chat/completions', parse }],
  headers: openaiHeaders,
  error: (error) => openaiError(error),
};
