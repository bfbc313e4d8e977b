/** OpenAI's legacy completions: `POST /v1/completions`. Text or tokens in, text out, no chat template. */
import { z } from 'zod';
import type { GenerationRequest, Prompt } from '../../runtime/api.ts';
import { integer, invalidParam, optional, parseBody, unsupportedParam } from './body-schema.ts';
import { completionBody as answerBody, type CompletionAnswerOptions, CompletionEncoder } from './completion-answer.ts';
import { readPrompts } from './completion-prompts.ts';
import type { Dialect, GenerateExchange, ParseContext } from './dialect.ts';
import {
  cacheFields,
  cacheHintsOf,
  checkModel,
  MAX_CHOICES,
  openaiError,
  openaiHeaders,
  samplingFields,
  samplingOf,
  seedOfChoice,
  stopStrings,
} from './openai.ts';
import { constraintFields, constraintOf, formatConstraint, responseFormat } from './output-format.ts';

/** OpenAI's default. */
const DEFAULT_MAX_TOKENS = 16;
const MAX_CANDIDATES = 20;

const completionBody = z.object({
  ...samplingFields,
  ...cacheFields,
  ...constraintFields,
  /** A text, a list of texts, token ids, or a list of lists of token ids. */
  prompt: z.union([z.string(), z.array(z.unknown())]),
  max_tokens: optional(integer(0)),
  suffix: optional(z.string()),
  echo: optional(z.boolean()),
  best_of: optional(integer(1, MAX_CANDIDATES)),
  logprobs: optional(integer(0, 5)),
  response_format: optional(responseFormat),
});

type CompletionBody = z.output<typeof completionBody>;

const parse = async (raw: unknown, context: ParseContext): Promise<GenerateExchange> => {
  const body = parseBody(completionBody, raw);
  checkModel(body.model, context.model);
  const prompts = readPrompts(body.prompt, body.suffix ?? '', context.model.vocabularySize);
  const numChoices = body.n ?? 1;
  const numCandidates = checkCandidates(body, prompts.length);
  const isScored = body.echo === true && typeof body.logprobs === 'number';
  if (isScored && body.suffix) throw unsupportedParam('logprobs', 'log-probabilities of an echo with a suffix are');
  const options: CompletionAnswerOptions = {
    id: `cmpl-${context.requestId.replace(/^req_/, '')}`,
    numChoices,
    numCandidates,
    echoes: await Promise.all(prompts.map((prompt) => (body.echo ? promptText(prompt, context) : ''))),
    withUsage: body.stream_options?.include_usage ?? false,
    withLogprobs: typeof body.logprobs === 'number',
  };
  return {
    kind: 'generate',
    requests: requestsOf(body, prompts, numCandidates, context),
    choicesPerPrompt: numCandidates,
    // A prompt that is computed for its log-probabilities leaves nothing in the cache.
    hints: isScored ? {} : cacheHintsOf(body),
    stream: body.stream ?? false,
    encoder: () => new CompletionEncoder(context, options),
    response: (answers) => answerBody(answers, context, options),
  };
};

/** How many answers each prompt gets. @throws EngineError invalid_request */
const checkCandidates = ({ n, best_of: bestOf, stream }: CompletionBody, numPrompts: number): number => {
  const numChoices = n ?? 1;
  const numCandidates = bestOf ?? numChoices;
  if (numCandidates < numChoices) throw invalidParam('best_of', `must be at least n, got ${bestOf} against ${n}`);
  if (numCandidates > numChoices && stream)
    throw invalidParam('best_of', 'cannot choose the best of a stream; leave stream or best_of out');
  if (numPrompts * numCandidates > MAX_CHOICES) {
    const made = `${numPrompts} prompts make ${numPrompts * numCandidates} answers`;
    throw invalidParam('prompt', `${made}, and a request has at most ${MAX_CHOICES}; send several requests`);
  }
  return numCandidates;
};

const promptText = (prompt: Prompt, { tokenizer }: ParseContext): string | Promise<string> => {
  if (prompt.kind === 'tokens') return tokenizer.detokenize(prompt.tokenIds);
  if (prompt.kind === 'fill') return prompt.prefix;
  return prompt.kind === 'text' ? prompt.text : '';
};

const requestsOf = (
  body: CompletionBody,
  prompts: readonly Prompt[],
  numCandidates: number,
  context: ParseContext,
): readonly GenerationRequest[] => {
  const sampling = samplingOf(body, context.model);
  const constraint = constraintOf(body, formatConstraint(body.response_format));
  // The best of several is told by its log-probabilities.
  const topLogprobs = body.logprobs ?? (numCandidates > (body.n ?? 1) ? 0 : undefined);
  return prompts.flatMap((prompt, index) =>
    Array.from({ length: numCandidates }, (_, candidate) => ({
      id: `${context.requestId}-${index * numCandidates + candidate}`,
      prompt,
      stop: stopStrings(body.stop),
      ...(body.echo && typeof body.logprobs === 'number' ? { promptTopLogprobs: body.logprobs } : {}),
      maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
      sampling: {
        ...sampling,
        ...(body.seed === undefined || body.seed === null ? {} : { seed: seedOfChoice(body.seed, candidate) }),
        ...(topLogprobs === undefined ? {} : { topLogprobs }),
      },
      ...(constraint === undefined ? {} : { constraint }),
    })),
  );
};

export const openaiCompletions: Dialect = {
  name: 'openai-completions',
  vendor: 'openai',
  routes: [
    {
      path: '/v1/completions',
      operation: {
        id: 'createCompletion',
        summary: 'The continuation of a text (OpenAI)',
        answer: 'Completion',
        events: 'CompletionStreamEvent',
      },
      body: completionBody,
      parse,
    },
  ],
  headers: openaiHeaders,
  error: (error) => openaiError(error, 'prompt'),
};
