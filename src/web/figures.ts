/** The figures under an answer: times as this page saw them, tokens as the server counted them. */
import type { Figures } from './conversation.ts';

const count = new Intl.NumberFormat('en');

/** `12.5 s`, `45 ms`. */
export const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export const tokens = (number: number): string => `${count.format(number)} ${number === 1 ? 'token' : 'tokens'}`;

/** A shorter time says nothing: pieces of text that waited for each other come at once. */
const MIN_SPAN_MS = 100;

/** Tokens after the first, by the time after the first. Undefined where that is too short to say. */
export const tokensPerSecond = ({ firstMs, lastMs, completionTokens = 0 }: Figures): number | undefined => {
  if (firstMs === undefined || lastMs === undefined || lastMs - firstMs < MIN_SPAN_MS) return undefined;
  if (completionTokens < 2) return undefined;
  return ((completionTokens - 1) / (lastMs - firstMs)) * 1000;
};

/** What is known so far, each as a short text. */
export const figureTexts = (figures: Figures): readonly string[] => {
  const { sentMs, firstMs, promptTokens, cachedTokens = 0, completionTokens } = figures;
  const rate = tokensPerSecond(figures);
  return [
    ...(firstMs === undefined ? [] : [`${duration(firstMs - sentMs)} to the first token`]),
    ...(rate === undefined ? [] : [`${rate < 100 ? rate.toFixed(1) : count.format(Math.round(rate))} tokens/s`]),
    ...(completionTokens === undefined ? [] : [tokens(completionTokens)]),
    ...(promptTokens === undefined
      ? []
      : [`prompt of ${tokens(promptTokens)}, ${cachedTokens === 0 ? 'none' : count.format(cachedTokens)} cached`]),
  ];
};

/** `1,200 of 8,192 tokens`. */
export const contextText = (used: number, contextLength: number): string =>
  `${count.format(used)} of ${tokens(contextLength)}`;
