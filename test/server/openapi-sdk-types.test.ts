/**
 * The types of described answers against those of the official SDKs: the compiler finds keys that a new SDK requires and
 * answers lack, and values that it does not know.
 */
import type Anthropic from '@anthropic-ai/sdk';
import type Anthropic2023 from '@anthropic-ai/sdk-2023';
import type OpenAI from 'openai';
import type OpenAI7 from 'openai-7';
import { expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { SCHEMAS, SchemaName } from '../../src/server/openapi/schemas/index.ts';

/** zod writes optional keys with `undefined` among their values; JSON has none. */
type WithoutUndefined<T> = T extends readonly (infer Item)[]
  ? WithoutUndefined<Item>[]
  : T extends object
    ? { [Key in keyof T]: WithoutUndefined<Exclude<T[Key], undefined>> }
    : T;

type Described<Name extends SchemaName> = WithoutUndefined<z.output<(typeof SCHEMAS)[Name]>>;

/** What clients may read of it, except what `Keys` name: those stand below, with the reason. */
type Of<Name extends SchemaName, Keys extends string = never> = Omit<Described<Name>, Keys>;

test('OpenAI’s answers are what its SDKs’ types say', () => {
  expectTypeOf<Described<'ChatCompletion'>>().toExtend<OpenAI.ChatCompletion>();
  expectTypeOf<Described<'ChatCompletion'>>().toExtend<OpenAI7.ChatCompletion>();
  // Calls of custom tools are in the chunks of the newer SDK's types alone.
  expectTypeOf<Of<'ChatCompletionChunk', 'choices'>>().toExtend<Omit<OpenAI.ChatCompletionChunk, 'choices'>>();
  expectTypeOf<Described<'ChatCompletionChunk'>>().toExtend<OpenAI7.ChatCompletionChunk>();
  expectTypeOf<Of<'Completion', 'choices'>>().toExtend<Omit<OpenAI.Completion, 'choices'>>();
  expectTypeOf<Of<'Completion', 'choices'>>().toExtend<Omit<OpenAI7.Completion, 'choices'>>();
  // OpenAI's own nulls in the log-probabilities of an echoed prompt are not in its types.
  expectTypeOf<Of<'CompletionChoice', 'logprobs'>>().toExtend<Omit<OpenAI7.CompletionChoice, 'logprobs'>>();
  expectTypeOf<Of<'EmbeddingList', 'data'>>().toExtend<Omit<OpenAI7.CreateEmbeddingResponse, 'data'>>();
  expectTypeOf<Described<'Model'>>().toExtend<OpenAI7.Model>();
});

/**
 * `output_text` is the SDK's own; tools and formats are the client's, repeated; usage is null until the end, as OpenAI
 * writes it; and one of the errors' codes is for Codex.
 */
type Elsewhere = 'output_text' | 'tools' | 'tool_choice' | 'text' | 'usage' | 'error';

test('responses are what its SDKs’ types say', () => {
  expectTypeOf<Of<'ResponseObject', Elsewhere>>().toExtend<Omit<OpenAI.Responses.Response, Elsewhere>>();
  expectTypeOf<Of<'ResponseObject', Elsewhere>>().toExtend<Omit<OpenAI7.Responses.Response, Elsewhere>>();
  expectTypeOf<Described<'ResponseUsage'>>().toExtend<OpenAI.Responses.ResponseUsage>();
  expectTypeOf<Described<'ResponseUsage'>>().toExtend<OpenAI7.Responses.ResponseUsage>();
  expectTypeOf<Described<'OutputItem'>>().toExtend<OpenAI.Responses.ResponseOutputItem>();
  expectTypeOf<Described<'OutputItem'>>().toExtend<OpenAI7.Responses.ResponseOutputItem>();
  expectTypeOf<Described<'ResponseInputTokens'>>().toExtend<OpenAI7.Responses.InputTokenCountResponse>();
});

test('events of responses are what its SDK’s types say', () => {
  type Event<Type extends OpenAI7.Responses.ResponseStreamEvent['type']> = Omit<
    Extract<OpenAI7.Responses.ResponseStreamEvent, { type: Type }>,
    'type'
  >;
  expectTypeOf<Described<'ResponseItemEvent'>>().toExtend<Event<'response.output_item.added'>>();
  expectTypeOf<Described<'ResponsePartEvent'>>().toExtend<Event<'response.content_part.added'>>();
  expectTypeOf<Described<'ResponseTextDeltaEvent'>>().toExtend<Event<'response.output_text.delta'>>();
  expectTypeOf<Described<'ResponseTextDoneEvent'>>().toExtend<Event<'response.output_text.done'>>();
  expectTypeOf<Described<'ResponseReasoningDeltaEvent'>>().toExtend<Event<'response.reasoning_text.delta'>>();
  expectTypeOf<Described<'ResponseReasoningDoneEvent'>>().toExtend<Event<'response.reasoning_text.done'>>();
  expectTypeOf<Described<'ResponseSummaryPartEvent'>>().toExtend<Event<'response.reasoning_summary_part.added'>>();
  expectTypeOf<Described<'ResponseSummaryDeltaEvent'>>().toExtend<Event<'response.reasoning_summary_text.delta'>>();
  expectTypeOf<Described<'ResponseSummaryDoneEvent'>>().toExtend<Event<'response.reasoning_summary_text.done'>>();
  expectTypeOf<Described<'ResponseArgumentsDeltaEvent'>>().toExtend<Event<'response.function_call_arguments.delta'>>();
  expectTypeOf<Described<'ResponseArgumentsDoneEvent'>>().toExtend<Event<'response.function_call_arguments.done'>>();
  expectTypeOf<Described<'ResponseInputDeltaEvent'>>().toExtend<Event<'response.custom_tool_call_input.delta'>>();
  expectTypeOf<Described<'ResponseInputDoneEvent'>>().toExtend<Event<'response.custom_tool_call_input.done'>>();
});

test('Anthropic’s answers and events are what its SDKs’ types say', () => {
  type Events = Exclude<Described<'MessageStreamEvent'>, { type: 'ping' | 'error' }>;
  expectTypeOf<Described<'Message'>>().toExtend<Anthropic.Message>();
  expectTypeOf<Described<'Message'>>().toExtend<Anthropic2023.Message>();
  expectTypeOf<Events>().toExtend<Anthropic.RawMessageStreamEvent>();
  expectTypeOf<Events>().toExtend<Anthropic2023.RawMessageStreamEvent>();
  expectTypeOf<Described<'MessageTokens'>>().toExtend<Anthropic.MessageTokensCount>();
  expectTypeOf<Described<'Model'>>().toExtend<Anthropic.ModelInfo>();
  expectTypeOf<Described<'Model'>>().toExtend<Anthropic2023.ModelInfo>();
  expectTypeOf<Of<'AnthropicError', 'error'>>().toExtend<Omit<Anthropic.ErrorResponse, 'error'>>();
});
