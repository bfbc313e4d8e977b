/** OpenAI Chat Completions: `POST /v1/chat/completions`. */
import { z } from 'zod';
import type { ChatPrompt, ToolChoice } from '../../runtime/api.ts';
import { integer, invalidParam, optional, parseBody, unsupportedParam } from './body-schema.ts';
import type { Dialect, GenerateExchange, ParseContext } from './dialect.ts';
import { EFFORTS, thinkingOfTemplate } from './effort.ts';
import {
  cacheFields,
  cacheHintsOf,
  checkModel,
  openaiError,
  openaiHeaders,
  requireChatTemplate,
  samplingFields,
  samplingOf,
  seedOfChoice,
  stopStrings,
} from './openai.ts';
import { chatBody as answerBody, type ChatAnswerOptions, ChatEncoder } from './openai-chat-answer.ts';
import { message, toChatMessages } from './openai-chat-messages.ts';
import { asChatBody } from './openai-chat-shape.ts';
import { type ClientTools, readFunction, readToolChoice, readTools, toolRequestFields } from './openai-tools.ts';
import { constraintFields, constraintOf, formatConstraint, responseFormat } from './output-format.ts';
import { atToolSchema, checkToolChoice, uniqueTools } from './tools.ts';

const chatBody = z.object({
  ...samplingFields,
  ...cacheFields,
  ...toolRequestFields,
  ...constraintFields,
  messages: z.array(message).min(1),
  max_tokens: optional(integer(1)),
  max_completion_tokens: optional(integer(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(integer(0, 20)),
  reasoning_effort: optional(z.enum(EFFORTS)),
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
  response_format: optional(responseFormat),
  functions: optional(z.array(z.unknown())),
  function_call: optional(z.union([z.enum(['none', 'auto']), z.object({ name: z.string() })])),
  modalities: optional(z.array(z.string())),
  audio: optional(z.unknown()),
});

type ChatBody = z.output<typeof chatBody>;

const refuseUnsupported = (body: ChatBody): void => {
  if (body.audio !== null && body.audio !== undefined) throw unsupportedParam('audio', 'audio output is');
  if (body.modalities?.some((modality) => modality !== 'text'))
    throw unsupportedParam('modalities', 'output other than text is');
};

interface RequestTools extends ClientTools {
  readonly toolChoice: ToolChoice | undefined;
  readonly isLegacyCall: boolean;
}

const toolsOf = (body: ChatBody): RequestTools => {
  if (!body.tools?.length && body.functions?.length) return legacyTools(body.functions, body.function_call);
  const tools = readTools(body.tools ?? []);
  return { ...tools, toolChoice: readToolChoice(body, tools.definitions), isLegacyCall: false };
};

/** The older form, which calls one function an answer. */
const legacyTools = (functions: readonly unknown[], call: ChatBody['function_call']): RequestTools => {
  const read = functions.map((each, index) => readFunction(each, `functions.${index}`));
  const definitions = uniqueTools(read, 'functions');
  const fields = new Map(read.map(({ name }, index) => [name, `functions.${index}.parameters`]));
  const choice =
    typeof call === 'object' && call !== null
      ? { mode: 'required' as const, names: [call.name] }
      : { mode: call ?? ('auto' as const) };
  const toolChoice = checkToolChoice({ ...choice, parallel: false }, definitions, 'function_call');
  return { definitions, customNames: new Set(), fields, toolChoice, isLegacyCall: true };
};

const parse = (raw: unknown, context: ParseContext): GenerateExchange => {
  const body = parseBody(chatBody, asChatBody(raw));
  checkModel(body.model, context.model);
  requireChatTemplate(context.model, 'messages');
  refuseUnsupported(body);
  if (body.top_logprobs && !body.logprobs) throw invalidParam('top_logprobs', 'needs logprobs to be true');
  const { definitions, customNames, fields, toolChoice, isLegacyCall } = toolsOf(body);
  const prompt: ChatPrompt = {
    kind: 'chat',
    messages: toChatMessages(body.messages),
    ...(definitions.length === 0 ? {} : { tools: definitions }),
    continueFinalMessage: false,
    ...thinkingOfTemplate(body.reasoning_effort, body.chat_template_kwargs),
  };
  const options: ChatAnswerOptions = {
    id: `chatcmpl-${context.requestId.replace(/^req_/, '')}`,
    numChoices: body.n ?? 1,
    withUsage: body.stream_options?.include_usage ?? false,
    withLogprobs: body.logprobs ?? false,
    isLegacyCall,
    customNames,
  };
  return {
    kind: 'generate',
    requests: requestsOf(body, prompt, toolChoice, context),
    hints: cacheHintsOf(body),
    stream: body.stream ?? false,
    explain: (error) => atToolSchema(error, fields),
    encoder: () => new ChatEncoder(context, options),
    response: (answers) => answerBody(answers, context, options),
  };
};

const requestsOf = (
  body: ChatBody,
  prompt: ChatPrompt,
  toolChoice: ToolChoice | undefined,
  context: ParseContext,
): GenerateExchange['requests'] => {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const sampling = samplingOf(body, context.model);
  // Beside tools, the constraint is the text's alone.
  const constraint = constraintOf(body, formatConstraint(body.response_format));
  return Array.from({ length: body.n ?? 1 }, (_, choice) => ({
    id: `${context.requestId}-${choice}`,
    prompt,
    stop: stopStrings(body.stop),
    ...(maxTokens === undefined || maxTokens === null ? {} : { maxTokens }),
    sampling: {
      ...sampling,
      ...(body.seed === undefined || body.seed === null ? {} : { seed: seedOfChoice(body.seed, choice) }),
      ...(body.logprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
    },
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(constraint === undefined ? {} : { constraint }),
  }));
};

export const openaiChat: Dialect = {
  name: 'openai-chat',
  vendor: 'openai',
  routes: [
    {
      path: '/v1/chat/completions',
      operation: {
        id: 'createChatCompletion',
        summary: 'An answer in a conversation (OpenAI)',
        answer: 'ChatCompletion',
        events: 'ChatStreamEvent',
      },
      body: chatBody,
      parse,
    },
  ],
  headers: openaiHeaders,
  error: (error) => openaiError(error),
};
