/** OpenAI's legacy completion object, and its stream. */
import type { GenerationEvent, Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import { textOf, totalUsage } from './answer.ts';
import type { Answer, Encoder, Frame, ParseContext } from './dialect.ts';
import { joinedArrays, LegacyLogprobs } from './legacy-logprobs.ts';
import { FINISH_REASONS, fingerprintOf, LOWEST_LOGPROB, openaiError, usageBody } from './openai.ts';

/** What the answer takes from the request. */
export interface CompletionAnswerOptions {
  readonly id: string;
  /** Choices that go out for each prompt. */
  readonly numChoices: number;
  /** Answers that are made for each prompt; the best `numChoices` go out. */
  readonly numCandidates: number;
  /** Of each prompt: what goes out before its answers. */
  readonly echoes: readonly string[];
  readonly withUsage: boolean;
  readonly withLogprobs: boolean;
}

const envelope = (id: string, { createdAt, model }: ParseContext) => ({
  id,
  object: 'text_completion',
  created: createdAt,
  model: model.id,
  system_fingerprint: fingerprintOf(model),
});

const choiceBody = (index: number, text: string, finishReason: string | null, logprobs: object | null) => ({
  text,
  index,
  logprobs,
  finish_reason: finishReason,
});

export const completionBody = (
  answers: readonly Answer[],
  context: ParseContext,
  { id, numChoices, numCandidates, echoes, withLogprobs }: CompletionAnswerOptions,
): object => {
  const choices = echoes.flatMap((echo, prompt) => {
    const candidates = answers.slice(prompt * numCandidates, (prompt + 1) * numCandidates);
    return best(candidates, numChoices).map((answer) => ({ answer, echo }));
  });
  return {
    ...envelope(id, context),
    choices: choices.map(({ answer, echo }, index) => {
      const logprobs = withLogprobs ? logprobsOf(answer, echo) : null;
      return choiceBody(index, echo + textOf(answer, 'text'), FINISH_REASONS[answer.finish.reason], logprobs);
    }),
    usage: usageBody(
      totalUsage(
        answers.map(({ finish }) => finish.usage),
        numCandidates,
      ),
    ),
  };
};

const logprobsOf = ({ promptLogprobs, logprobs }: Answer, echo: string): object => {
  const arrays = new LegacyLogprobs();
  const prompt = promptLogprobs && arrays.prompt(promptLogprobs, echo);
  const answer = arrays.answer(logprobs);
  return prompt === undefined ? answer : joinedArrays(prompt, answer);
};

/** Those with the highest mean log-probability of a token, best first. */
const best = (candidates: readonly Answer[], numWanted: number): readonly Answer[] => {
  if (numWanted >= candidates.length) return candidates;
  return candidates.toSorted((one, other) => meanLogprob(other) - meanLogprob(one)).slice(0, numWanted);
};

const meanLogprob = ({ logprobs }: Answer): number =>
  logprobs.length === 0
    ? LOWEST_LOGPROB
    : logprobs.reduce((sum, { logprob }) => sum + Math.max(logprob, LOWEST_LOGPROB), 0) / logprobs.length;

/** Its options' `numCandidates` is its `numChoices`: which is best, only the end would tell. */
export class CompletionEncoder implements Encoder {
  readonly #envelope: object;
  readonly #options: CompletionAnswerOptions;
  /** Of each choice; empty unless asked for. */
  readonly #logprobs: readonly LegacyLogprobs[];
  readonly #usages: Usage[] = [];

  constructor(context: ParseContext, options: CompletionAnswerOptions) {
    this.#envelope = envelope(options.id, context);
    this.#options = options;
    this.#logprobs = options.withLogprobs ? this.#echoes.map(() => new LegacyLogprobs()) : [];
  }

  /** Of each choice. */
  get #echoes(): readonly string[] {
    const { echoes, numChoices } = this.#options;
    return echoes.flatMap((echo) => Array.from({ length: numChoices }, () => echo));
  }

  begin(): readonly Frame[] {
    // An echo with log-probabilities waits for them.
    return this.#echoes.map((echo, choice) => this.#chunk(choice, this.#options.withLogprobs ? '' : echo));
  }

  event(choice: number, event: GenerationEvent): readonly Frame[] {
    switch (event.type) {
      case 'prompt_logprobs': {
        const echo = this.#echoes[choice] ?? '';
        return [this.#chunk(choice, echo, null, this.#logprobs[choice]?.prompt(event.logprobs, echo))];
      }
      case 'text': {
        const logprobs = event.logprobs && this.#logprobs[choice]?.answer(event.logprobs);
        return event.text === '' && logprobs === undefined ? [] : [this.#chunk(choice, event.text, null, logprobs)];
      }
      case 'finish':
        this.#usages[choice] = event.usage;
        return [this.#chunk(choice, '', FINISH_REASONS[event.reason])];
      default: // Reasoning and calls are of chats alone: a plain text's tags are its own.
        return [];
    }
  }

  end(): readonly Frame[] {
    if (!this.#options.withUsage) return [{ kind: 'done' }];
    const usage = usageBody(totalUsage(this.#usages, this.#options.numCandidates));
    return [{ kind: 'data', payload: { ...this.#envelope, choices: [], usage } }, { kind: 'done' }];
  }

  failure(error: EngineError): readonly Frame[] {
    return [{ kind: 'data', payload: openaiError(error, 'prompt').body }];
  }

  ping(): readonly Frame[] {
    return [{ kind: 'comment', text: 'ping' }];
  }

  #chunk(choice: number, text: string, finish: string | null = null, logprobs: object | null = null): Frame {
    const payload = {
      ...this.#envelope,
      choices: [choiceBody(choice, text, finish, logprobs)],
      ...(this.#options.withUsage ? { usage: null } : {}),
    };
    return { kind: 'data', payload };
  }
}
