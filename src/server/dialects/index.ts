/** The list of dialects, and the choice of one for paths that belong to none. */
import type { RequestHead } from '../http.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import type { Dialect, DialectRoute } from './dialect.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiCompletions } from './openai-completions.ts';
import { openaiEmbeddings } from './openai-embeddings.ts';
import { openaiResponses } from './openai-responses.ts';

export const DIALECTS: readonly Dialect[] = [
  openaiChat,
  openaiCompletions,
  openaiEmbeddings,
  openaiResponses,
  anthropicMessages,
];

/** The dialect whose errors a client of this path understands. */
export const dialectOf = (request: RequestHead): Dialect => {
  const owner = DIALECTS.find((dialect) => dialect.routes.some((route) => route.path === request.path));
  if (owner !== undefined) return owner;
  const isAnthropic = request.path.startsWith('/v1/messages') || request.headers.has('anthropic-version');
  return isAnthropic ? anthropicMessages : openaiChat;
};

/** Beside the dialects' own routes, those that the vendors have too. */
export const isVendorPath = (path: string): boolean => /^\/v1\/(models|responses)(\/|$)/.test(path);

export const routeOf = (path: string): DialectRoute | undefined =>
  DIALECTS.flatMap((dialect) => dialect.routes).find((route) => route.path === path);
