/** OpenAI's chat completion object, and its stream of chunks. */
import type { FinishReason, GenerationEvent, Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import { textOf, totalUsage } from './answer.ts';
import { CustomInput, customInput } from './custom-tool.ts';
import type { Answer, AnswerWarning, Encoder, Frame, ParseContext } from './dialect.ts';
import { FINISH_REASONS, fingerprintOf, logprobsBody, openaiError, usageBody } from './openai.ts';

/** What the answer takes from the request. */
export interface ChatAnswerOptions {
  readonly id: string;
  readonly numChoices: number;
  /** Streams end with a chunk that has no choices, but the usage. */
  readonly withUsage: boolean;
  readonly withLogprobs: boolean;
  /** The request has `functions`: its answer calls one in the older form. */
  readonly isLegacyCall: boolean;
  /** Tools whose calls have one text in place of arguments. */
  readonly customNames: ReadonlySet<string>;
}

const envelope = (id: string, object: string, { createdAt, model }: ParseContext) => ({
  id,
  object,
  created: createdAt,
  model: model.id,
  system_fingerprint: fingerprintOf(model),
});

/** Clients disagree on the name, so reasoning goes out under both. */
const reasoningFields = (text: string) => ({ reasoning_content: text, reasoning: text });

interface ChoiceWarning extends AnswerWarning {
  /** Index of the choice that it is about. */
  readonly choice: number;
}

/** A field of ours, absent where there is nothing to say. */
const warningsField = (warnings: readonly ChoiceWarning[]) => (warnings.length > 0 ? { warnings } : {});

const finishReason = (reason: FinishReason, isLegacyCall: boolean): string =>
  reason === 'tool_calls' && isLegacyCall ? 'function_call' : FINISH_REASONS[reason];

export const chatBody = (answers: readonly Answer[], context: ParseContext, options: ChatAnswerOptions): object => ({
  ...envelope(options.id, 'chat.completion', context),
  choices: answers.map((answer, index) => choiceBody(answer, index, options)),
  usage: usageBody(totalUsage(answers.map((answer) => answer.finish.usage))),
  ...warningsField(answers.flatMap(({ warnings }, choice) => warnings.map((warning) => ({ choice, ...warning })))),
});

const choiceBody = (answer: Answer, index: number, options: ChatAnswerOptions): object => {
  const { withLogprobs, isLegacyCall } = options;
  const reasoning = textOf(answer, 'reasoning');
  const text = textOf(answer, 'text');
  const calls = callFields(answer, options);
  return {
    index,
    message: {
      role: 'assistant',
      content: text === '' && calls !== undefined ? null : text,
      refusal: null,
      ...(reasoning === '' ? {} : reasoningFields(reasoning)),
      ...calls,
    },
    logprobs: withLogprobs ? logprobsBody(answer.logprobs) : null,
    finish_reason: finishReason(answer.finish.reason, isLegacyCall),
  };
};

const callFields = ({ parts }: Answer, { isLegacyCall, customNames }: ChatAnswerOptions): object | undefined => {
  const calls = parts.filter((part) => part.type === 'tool_call');
  const [first] = calls;
  if (first === undefined) return undefined;
  if (isLegacyCall) return { function_call: { name: first.name, arguments: first.arguments } };
  return {
    tool_calls: calls.map(({ id, name, arguments: text }) =>
      customNames.has(name)
        ? { id, type: 'custom', custom: { name, input: customInput(text) } }
        : { id, type: 'function', function: { name, arguments: text } },
    ),
  };
};

export class ChatEncoder implements Encoder {
  readonly #envelope: object;
  readonly #options: ChatAnswerOptions;
  readonly #usages: Usage[] = [];
  readonly #warnings: ChoiceWarning[] = [];
  /** Of the custom call that is open in each choice. */
  readonly #inputs = new Map<number, CustomInput>();

  constructor(context: ParseContext, options: ChatAnswerOptions) {
    this.#envelope = envelope(options.id, 'chat.completion.chunk', context);
    this.#options = options;
  }

  begin(): readonly Frame[] {
    const role = { role: 'assistant', content: '' };
    return Array.from({ length: this.#options.numChoices }, (_, choice) => this.#chunk(choice, role));
  }

  event(choice: number, event: GenerationEvent): readonly Frame[] {
    switch (event.type) {
      case 'start':
      case 'prompt_logprobs':
        return [];
      case 'tool_call_end': {
        const rest = this.#inputs.get(choice)?.end() ?? '';
        this.#inputs.delete(choice);
        return this.#input(choice, event.index, rest);
      }
      case 'warning':
        this.#inputs.delete(choice);
        this.#warnings.push({ choice, code: event.code, message: event.message });
        return [];
      case 'reasoning':
        return event.text === '' ? [] : [this.#chunk(choice, reasoningFields(event.text))];
      case 'text':
        if (event.logprobs !== undefined)
          return [this.#chunk(choice, { content: event.text }, null, logprobsBody(event.logprobs))];
        return event.text === '' ? [] : [this.#chunk(choice, { content: event.text })];
      case 'tool_call_start':
      case 'tool_call_arguments':
        return this.#call(choice, event);
      case 'finish':
        this.#usages[choice] = event.usage;
        return [this.#chunk(choice, {}, finishReason(event.reason, this.#options.isLegacyCall))];
    }
  }

  end(): readonly Frame[] {
    const usage = { ...this.#envelope, choices: [], usage: usageBody(totalUsage(this.#usages)) };
    return [...(this.#options.withUsage ? [{ kind: 'data', payload: usage } as const] : []), { kind: 'done' }];
  }

  failure(error: EngineError): readonly Frame[] {
    return [{ kind: 'data', payload: openaiError(error).body }];
  }

  ping(): readonly Frame[] {
    return [{ kind: 'comment', text: 'ping' }];
  }

  /** Id, type and name go out once: clients join what comes again to what they have. */
  #call(
    choice: number,
    event: Extract<GenerationEvent, { type: 'tool_call_start' | 'tool_call_arguments' }>,
  ): readonly Frame[] {
    const isStart = event.type === 'tool_call_start';
    const called = isStart ? { name: event.name, arguments: '' } : { arguments: event.text };
    if (this.#options.isLegacyCall) return event.index === 0 ? [this.#chunk(choice, { function_call: called })] : [];
    if (isStart && this.#options.customNames.has(event.name)) {
      this.#inputs.set(choice, new CustomInput());
      const custom = { name: event.name, input: '' };
      return [this.#chunk(choice, { tool_calls: [{ index: event.index, id: event.id, type: 'custom', custom }] })];
    }
    const input = this.#inputs.get(choice);
    if (input !== undefined && !isStart) return this.#input(choice, event.index, input.push(event.text));
    const head = isStart ? { id: event.id, type: 'function' } : {};
    return [this.#chunk(choice, { tool_calls: [{ index: event.index, ...head, function: called }] })];
  }

  #input(choice: number, index: number, input: string): readonly Frame[] {
    return input === '' ? [] : [this.#chunk(choice, { tool_calls: [{ index, custom: { input } }] })];
  }

  #chunk(index: number, delta: object, finish: string | null = null, logprobs: object | null = null): Frame {
    const warnings = finish === null ? [] : this.#warnings.filter(({ choice }) => choice === index);
    return {
      kind: 'data',
      payload: {
        ...this.#envelope,
        choices: [{ index, delta, logprobs, finish_reason: finish }],
        ...(this.#options.withUsage ? { usage: null } : {}),
        ...warningsField(warnings),
      },
    };
  }
}
