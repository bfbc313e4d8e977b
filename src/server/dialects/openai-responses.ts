/** OpenAI Responses: `POST /v1/responses` and `POST /v1/responses/input_tokens`. */
import { z } from 'zod';
import type { ChatPrompt, GenerationRequest, OutputConstraint } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { invalidParam, parseBody } from './body-schema.ts';
import type { CountExchange, Dialect, GenerateExchange, ParseContext } from './dialect.ts';
import { thinkingOfTemplate } from './effort.ts';
import {
  cacheHintsOf,
  checkModel,
  openaiError,
  openaiHeaders,
  requireChatTemplate,
  samplingOf,
  stopStrings,
} from './openai.ts';
import {
  countBody,
  type InputItem,
  type PromptBody,
  type ResponsesBody,
  refuseUnsupported,
  responsesBody,
} from './openai-responses-body.ts';
import { ResponseEncoder, type ResponsePlan } from './openai-responses-encoder.ts';
import { History, newResponseId, withIds } from './openai-responses-history.ts';
import { repeatedFields } from './openai-responses-object.ts';
import { toMessages } from './openai-responses-prompt.ts';
import { openToolbox, type Toolbox, toolChoiceOf } from './openai-responses-tools.ts';
import { truncated } from './openai-responses-truncation.ts';
import { constraintOf, schemaConstraint } from './output-format.ts';
import { atToolSchema } from './tools.ts';

const ENCRYPTED_REASONING = 'reasoning.encrypted_content';
const LOGPROBS = 'message.output_text.logprobs';

const itemsOf = ({ input, previous_response_id: previousId }: PromptBody): readonly InputItem[] => {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }];
  if (input !== undefined && input !== null && (input.length > 0 || previousId)) return input;
  if (previousId) return [];
  throw invalidParam('input', 'Field required', 'missing_required_parameter');
};

/** @throws EngineError invalid_request, not_found, not_supported, model_not_found */
const promptOf = async (body: PromptBody, toolbox: Toolbox, context: ParseContext): Promise<ChatPrompt> => {
  checkModel(body.model ?? context.model.id, context.model);
  requireChatTemplate(context.model, 'input');
  refuseUnsupported(body);
  const history = new History(context.responses);
  const before = body.previous_response_id ? await history.before(body.previous_response_id) : [];
  const items = [...before, ...(await history.resolve(itemsOf(body)))];
  const messages = toMessages(items, (index) =>
    index < before.length ? 'previous_response_id' : `input.${index - before.length}`,
  );
  const { instructions } = body;
  return {
    kind: 'chat',
    messages: instructions ? [{ role: 'system', content: instructions }, ...messages] : messages,
    continueFinalMessage: false,
    ...(toolbox.definitions.length === 0 ? {} : { tools: toolbox.definitions }),
    ...thinkingOfTemplate(body.reasoning?.effort, body.chat_template_kwargs),
  };
};

const TEXT_SCHEMA = 'text.format.schema';

/** OpenAI has a code for a schema that cannot be kept here, and none for one of a chat's format. */
const atTextSchema = (error: EngineError): EngineError =>
  error.code === 'invalid_request' && error.details.param?.startsWith(TEXT_SCHEMA)
    ? new EngineError(error.code, error.message, { ...error.details, reason: 'invalid_json_schema' }, { cause: error })
    : error;

/** @throws EngineError invalid_request when a body has several */
const textConstraint = (body: ResponsesBody): OutputConstraint | undefined => {
  const format = body.text?.format ?? { type: 'text' as const };
  const schema = format.type === 'json_schema' ? format.schema : undefined;
  const constraint = format.type === 'text' ? undefined : schemaConstraint(schema, TEXT_SCHEMA);
  return constraintOf(body, constraint, 'text.format');
};

const requestOf = (
  body: ResponsesBody,
  prompt: ChatPrompt,
  toolbox: Toolbox,
  { model, requestId }: ParseContext,
): GenerationRequest => {
  const constraint = textConstraint(body);
  const toolChoice = toolChoiceOf(body, toolbox);
  const wantsLogprobs = body.include?.includes(LOGPROBS) || Boolean(body.top_logprobs);
  const maxTokens = body.generate === false ? 0 : body.max_output_tokens;
  return {
    id: requestId,
    prompt,
    stop: stopStrings(body.stop),
    ...(maxTokens === undefined || maxTokens === null ? {} : { maxTokens }),
    sampling: {
      ...samplingOf(body, model),
      ...(body.seed === undefined || body.seed === null ? {} : { seed: body.seed }),
      ...(wantsLogprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
    },
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(constraint === undefined ? {} : { constraint }),
  };
};

const planOf = (
  body: ResponsesBody,
  toolbox: Toolbox,
  context: ParseContext,
): ResponsePlan & { signal: AbortSignal } => {
  const id = newResponseId();
  const cancelling = new AbortController();
  return {
    head: { id, createdAt: context.createdAt, repeated: repeatedFields(body, context.model, toolbox) },
    input: withIds(itemsOf(body), id),
    previousId: body.previous_response_id ?? undefined,
    isStored: body.store ?? true,
    reasoning: {
      withSummary: Boolean(body.reasoning?.summary ?? body.reasoning?.generate_summary),
      isSealed: body.include?.includes(ENCRYPTED_REASONING) ?? false,
    },
    toolNames: toolbox.names,
    isBackground: body.background ?? false,
    isWarmUp: body.generate === false,
    responses: context.responses,
    signal: cancelling.signal,
    cancel: () => cancelling.abort(new EngineError('aborted', 'the response was cancelled')),
  };
};

/** @throws EngineError invalid_request, not_supported: nobody could find the answer again */
const checkBackground = ({ background, store }: ResponsesBody, { responses }: ParseContext): void => {
  if (!background) return;
  if (store === false) throw invalidParam('background', 'needs store to be true: the answer is found by its id');
  if (!responses?.isKeeping)
    throw new EngineError('not_supported', 'background: this server stores no responses (response-bytes is 0)', {
      param: 'background',
    });
};

const parse = async (raw: unknown, context: ParseContext): Promise<GenerateExchange> => {
  const body = parseBody(responsesBody, raw);
  checkBackground(body, context);
  const toolbox = openToolbox(body.tools ?? []);
  const prompt = await promptOf(body, toolbox, context);
  const plan = planOf(body, toolbox, context);
  const exchange: GenerateExchange = {
    kind: 'generate',
    requests: [requestOf(body, prompt, toolbox, context)],
    hints: cacheHintsOf(body),
    stream: body.stream ?? false,
    signal: plan.signal,
    ...(plan.isBackground ? { background: { id: plan.head.id, begun: () => ResponseEncoder.begun(plan) } } : {}),
    explain: (error) => atTextSchema(atToolSchema(error, toolbox.fields)),
    encoder: () => new ResponseEncoder(plan),
    response: ([answer]) => {
      if (answer === undefined) throw new EngineError('internal', 'a response needs one answer');
      const encoder = new ResponseEncoder(plan);
      encoder.add(answer);
      return encoder.finish();
    },
  };
  return body.truncation === 'auto' ? shortening(exchange, body.instructions ? 1 : 0) : exchange;
};

/** An exchange that gives up the beginning of its conversation rather than be refused. */
const shortening = (exchange: GenerateExchange, numInstructions: number): GenerateExchange => ({
  ...exchange,
  shorter: (error) => {
    const [request] = exchange.requests;
    const prompt = request?.prompt.kind === 'chat' ? truncated(request.prompt, numInstructions, error) : undefined;
    if (request === undefined || prompt === undefined) return undefined;
    return shortening({ ...exchange, requests: [{ ...request, prompt }] }, numInstructions);
  },
});

const parseCount = async (raw: unknown, context: ParseContext): Promise<CountExchange> => {
  const body = parseBody(countBody, raw);
  return {
    kind: 'count',
    prompt: await promptOf(body, openToolbox(body.tools ?? []), context),
    response: (numTokens) => ({ object: 'response.input_tokens', input_tokens: numTokens }),
  };
};

const refuseCompaction = (): never => {
  throw new EngineError(
    'not_supported',
    '/v1/responses/compact: conversations are not compacted by this server; send the items that still matter as input',
  );
};

export const openaiResponses: Dialect = {
  name: 'openai-responses',
  vendor: 'openai',
  routes: [
    {
      path: '/v1/responses',
      operation: {
        id: 'createResponse',
        summary: 'An answer as items (OpenAI)',
        answer: 'ResponseObject',
        events: 'ResponseStreamEvent',
      },
      body: responsesBody,
      parse,
    },
    {
      path: '/v1/responses/input_tokens',
      operation: {
        id: 'countResponseInputTokens',
        summary: 'How many tokens a prompt of items has',
        answer: 'ResponseInputTokens',
      },
      body: countBody,
      parse: parseCount,
    },
    {
      path: '/v1/responses/compact',
      operation: { id: 'compactResponse', summary: 'Always refused: conversations are not compacted' },
      body: z.unknown(),
      parse: refuseCompaction,
    },
  ],
  headers: openaiHeaders,
  error: (error) => openaiError(error, 'input'),
};
