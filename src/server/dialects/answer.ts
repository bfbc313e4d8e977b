/** Collects a generation's events into one answer, for clients that do not stream. */
import type { ChosenLogprob, GenerationEvent, Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import type { Answer, FinishEvent } from './dialect.ts';

export class AnswerCollector {
  readonly #parts: { type: 'text' | 'reasoning'; text: string }[] = [];
  readonly #logprobs: ChosenLogprob[] = [];
  #finish: FinishEvent | undefined;

  add(event: GenerationEvent): void {
    if (event.type === 'start') return;
    if (event.type === 'finish') {
      this.#finish = event;
      return;
    }
    if (event.type === 'text') this.#logprobs.push(...(event.logprobs ?? []));
    const last = this.#parts.at(-1);
    if (last?.type === event.type) last.text += event.text;
    else if (event.text !== '') this.#parts.push({ type: event.type, text: event.text });
  }

  /** @throws EngineError internal when the generation ended without saying why */
  answer(): Answer {
    if (this.#finish === undefined) throw new EngineError('internal', 'the generation ended without a finish event');
    return { parts: this.#parts, logprobs: this.#logprobs, finish: this.#finish };
  }
}

export const textOf = (answer: Answer, type: 'text' | 'reasoning'): string =>
  answer.parts
    .filter((part) => part.type === type)
    .map((part) => part.text)
    .join('');

/** The usage of a request with several answers: they share one prompt, which counts once, as the first one found it. */
export const totalUsage = (usages: readonly Usage[]): Usage => {
  const [first] = usages;
  const sum = (read: (usage: Usage) => number): number => usages.reduce((total, usage) => total + read(usage), 0);
  return {
    promptTokens: first?.promptTokens ?? 0,
    cachedTokens: first?.cachedTokens ?? 0,
    completionTokens: sum((usage) => usage.completionTokens),
    reasoningTokens: sum((usage) => usage.reasoningTokens),
  };
};
