/** OpenAI's legacy completions: `POST /v1/completions`. Text in, text out, no chat template. */
import { z } from 'zod';
import type { GenerationEvent, Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import { textOf, totalUsage } from './answer.ts';
import { integer, optional, parseBody, unsupportedParam } from './body-schema.ts';
import type { Dialect, Encoder, Frame, GenerateExchange, ParseContext } from './dialect.ts';
import {
  cacheFields,
  cacheHintsOf,
  checkModel,
  FINISH_REASONS,
  fingerprintOf,
  openaiError,
  openaiHeaders,
  type StreamOptions,
  samplingFields,
  samplingOf,
  seedOfChoice,
  stopStrings,
  usageBody,
} from './openai.ts';

/** OpenAI's default. */
const DEFAULT_MAX_TOKENS = 16;

const completionBody = z.object({
  ...samplingFields,
  ...cacheFields,
  prompt: z.union([z.string(), z.array(z.unknown())]),
  max_tokens: optional(integer(0)),
  suffix: optional(z.string()),
  echo: optional(z.boolean()),
  best_of: optional(integer(1, 20)),
  logprobs: optional(integer(0, 5)),
});

type CompletionBody = z.output<typeof completionBody>;

const refuseUnsupported = (body: CompletionBody): void => {
  if (body.suffix) throw unsupportedParam('suffix', 'text after the completion is');
  if (body.echo) throw unsupportedParam('echo', 'echoing the prompt is');
  if ((body.best_of ?? 1) > 1) throw unsupportedParam('best_of', 'choosing the best of several is');
  if (typeof body.logprobs === 'number') throw unsupportedParam('logprobs', 'log-probabilities of completions are');
};

const promptText = (prompt: CompletionBody['prompt']): string => {
  if (typeof prompt === 'string') return prompt;
  throw unsupportedParam('prompt', 'a list of prompts or token ids instead of one string is');
};

const parse = (raw: unknown, context: ParseContext): GenerateExchange => {
  const body = parseBody(completionBody, raw);
  checkModel(body.model, context.model);
  refuseUnsupported(body);
  const prompt = { kind: 'text', text: promptText(body.prompt) } as const;
  const sampling = samplingOf(body, context.model);
  const id = `cmpl-${context.requestId.replace(/^req_/, '')}`;
  return {
    kind: 'generate',
    requests: Array.from({ length: body.n ?? 1 }, (_, choice) => ({
      id: `${context.requestId}-${choice}`,
      prompt,
      stop: stopStrings(body.stop),
      maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
      sampling:
        body.seed === undefined || body.seed === null
          ? sampling
          : { ...sampling, seed: seedOfChoice(body.seed, choice) },
    })),
    hints: cacheHintsOf(body),
    stream: body.stream ?? false,
    encoder: () =>
      new CompletionEncoder(id, context, {
        numChoices: body.n ?? 1,
        withUsage: body.stream_options?.include_usage ?? false,
      }),
    response: (answers) => ({
      ...envelope(id, context),
      choices: answers.map((answer, index) =>
        choiceBody(index, textOf(answer, 'text'), FINISH_REASONS[answer.finish.reason]),
      ),
      usage: usageBody(totalUsage(answers.map((answer) => answer.finish.usage))),
    }),
  };
};

const envelope = (id: string, { createdAt, model }: ParseContext) => ({
  id,
  object: 'text_completion',
  created: createdAt,
  model: model.id,
  system_fingerprint: fingerprintOf(model),
});

const choiceBody = (index: number, text: string, finishReason: string | null) => ({
  text,
  index,
  logprobs: null,
  finish_reason: finishReason,
});

class CompletionEncoder implements Encoder {
  readonly #envelope: object;
  readonly #numChoices: number;
  readonly #withUsage: boolean;
  readonly #usages: Usage[] = [];

  constructor(id: string, context: ParseContext, { numChoices, withUsage }: StreamOptions) {
    this.#envelope = envelope(id, context);
    this.#numChoices = numChoices;
    this.#withUsage = withUsage;
  }

  begin(): readonly Frame[] {
    return Array.from({ length: this.#numChoices }, (_, choice) => this.#chunk(choiceBody(choice, '', null)));
  }

  event(choice: number, event: GenerationEvent): readonly Frame[] {
    switch (event.type) {
      case 'text':
        return event.text === '' ? [] : [this.#chunk(choiceBody(choice, event.text, null))];
      case 'finish':
        this.#usages[choice] = event.usage;
        return [this.#chunk(choiceBody(choice, '', FINISH_REASONS[event.reason]))];
      default: // Reasoning and calls are of chats alone: a plain text's tags are its own.
        return [];
    }
  }

  end(): readonly Frame[] {
    const usage = { ...this.#envelope, choices: [], usage: usageBody(totalUsage(this.#usages)) };
    return [...(this.#withUsage ? [{ kind: 'data', payload: usage } as const] : []), { kind: 'done' }];
  }

  failure(error: EngineError): readonly Frame[] {
    return [{ kind: 'data', payload: openaiError(error, 'prompt').body }];
  }

  ping(): readonly Frame[] {
    return [{ kind: 'comment', text: 'ping' }];
  }

  #chunk(choice: object): Frame {
    const payload = { ...this.#envelope, choices: [choice], ...(this.#withUsage ? { usage: null } : {}) };
    return { kind: 'data', payload };
  }
}

export const openaiCompletions: Dialect = {
  name: 'openai-completions',
  routes: [{ path: '/v1/completions', summary: 'The continuation of a text (OpenAI)', body: completionBody, parse }],
  headers: openaiHeaders,
  error: (error) => openaiError(error, 'prompt'),
};
