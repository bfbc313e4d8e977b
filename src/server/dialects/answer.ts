/** Collects a generation's events into one answer, for clients that do not stream. */
import type { ChosenLogprob, GenerationEvent, PromptLogprobs, Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import type { Answer, AnswerPart, AnswerWarning, FinishEvent } from './dialect.ts';

export class AnswerCollector {
  readonly #parts: AnswerPart[] = [];
  readonly #warnings: AnswerWarning[] = [];
  readonly #logprobs: ChosenLogprob[] = [];
  #promptLogprobs: PromptLogprobs | undefined;
  #finish: FinishEvent | undefined;

  add(event: GenerationEvent): void {
    switch (event.type) {
      case 'start':
      case 'tool_call_end':
        return;
      case 'prompt_logprobs':
        this.#promptLogprobs = event.logprobs;
        return;
      case 'finish':
        this.#finish = event;
        return;
      case 'warning':
        this.#warnings.push({ code: event.code, message: event.message });
        // A call that is given up comes again as text, whole.
        if (event.index !== undefined && this.#parts.at(-1)?.type === 'tool_call') this.#parts.pop();
        return;
      case 'tool_call_start':
        this.#parts.push({ type: 'tool_call', id: event.id, name: event.name, arguments: '' });
        return;
      case 'tool_call_arguments':
        this.#continueCall(event.text);
        return;
      default:
        if (event.type === 'text') this.#logprobs.push(...(event.logprobs ?? []));
        this.#continueText(event.type, event.text);
    }
  }

  #continueText(type: 'text' | 'reasoning', text: string): void {
    const last = this.#parts.at(-1);
    if (last?.type === type) this.#parts[this.#parts.length - 1] = { type, text: last.text + text };
    else if (text !== '') this.#parts.push({ type, text });
  }

  #continueCall(text: string): void {
    const last = this.#parts.at(-1);
    if (last?.type !== 'tool_call') throw new EngineError('internal', 'arguments came outside a tool call');
    this.#parts[this.#parts.length - 1] = { ...last, arguments: last.arguments + text };
  }

  /** @throws EngineError internal when the generation ended without saying why */
  answer(): Answer {
    if (this.#finish === undefined) throw new EngineError('internal', 'the generation ended without a finish event');
    const promptLogprobs = this.#promptLogprobs;
    return {
      parts: this.#parts,
      warnings: this.#warnings,
      logprobs: this.#logprobs,
      ...(promptLogprobs ? { promptLogprobs } : {}),
      finish: this.#finish,
    };
  }
}

export const textOf = (answer: Answer, type: 'text' | 'reasoning'): string =>
  answer.parts.map((part) => (part.type === type ? part.text : '')).join('');

/**
 * The usage of a request with several answers: those to one prompt share it, so it counts once, as the first one found
 * it. @param usages in the order of the requests; undefined where an answer is not there yet
 * @param choicesPerPrompt how many neighbours share a prompt; absent: all
 */
export const totalUsage = (usages: readonly (Usage | undefined)[], choicesPerPrompt = usages.length): Usage => {
  const numPrompts = Math.ceil(usages.length / choicesPerPrompt);
  const firsts = Array.from({ length: numPrompts }, (_, prompt) =>
    usages.slice(prompt * choicesPerPrompt, (prompt + 1) * choicesPerPrompt).find((usage) => usage !== undefined),
  );
  const sum = (from: readonly (Usage | undefined)[], read: (usage: Usage) => number): number =>
    from.reduce((total, usage) => total + (usage === undefined ? 0 : read(usage)), 0);
  return {
    promptTokens: sum(firsts, (usage) => usage.promptTokens),
    cachedTokens: sum(firsts, (usage) => usage.cachedTokens),
    completionTokens: sum(usages, (usage) => usage.completionTokens),
    reasoningTokens: sum(usages, (usage) => usage.reasoningTokens),
  };
};
