/** What a dialect makes of a body, before any engine sees it. */
import type { ChatPrompt, GenerationRequest, ModelDescription } from '../../src/runtime/api.ts';
import type { Exchange, GenerateExchange } from '../../src/server/dialects/dialect.ts';
import { routeOf } from '../../src/server/dialects/index.ts';

export const MODEL: ModelDescription = {
  id: 'm',
  architecture: 'llama',
  contextLength: 4096,
  vocabularySize: 1000,
  hasChatTemplate: true,
  generates: true,
  fingerprint: 'f'.repeat(64),
  createdAt: 1_700_000_000,
};

const tokenizer = { detokenize: async (ids: readonly number[]) => `<${ids.join(' ')}>` };

const exchangeOf = (path: string, body: object, model: ModelDescription): Exchange | Promise<Exchange> => {
  const route = routeOf(path);
  if (route === undefined) throw new Error(`no route ${path}`);
  return route.parse({ model: 'm', ...body }, { model, requestId: 'req_1', createdAt: 1, tokenizer });
};

/** Of a route that reads a body at once. */
export const requestsOf = (path: string, body: object, model = MODEL): readonly GenerationRequest[] =>
  (exchangeOf(path, body, model) as GenerateExchange).requests;

export const completionRequests = async (body: object, model = MODEL): Promise<readonly GenerationRequest[]> =>
  ((await exchangeOf('/v1/completions', body, model)) as GenerateExchange).requests;

export const first = (requests: readonly GenerationRequest[]): GenerationRequest => requests[0] as GenerationRequest;

export const user = (content: unknown) => ({ role: 'user', content });

/** The first request of a chat, and its prompt. */
export const chat = (body: object): GenerationRequest =>
  first(requestsOf('/v1/chat/completions', { messages: [user('hi')], ...body }));
export const chatPrompt = (body: object): ChatPrompt => chat(body).prompt as ChatPrompt;

export const message = (body: object): GenerationRequest =>
  first(requestsOf('/v1/messages', { max_tokens: 2000, messages: [user('hi')], ...body }));
export const messagePrompt = (body: object): ChatPrompt => message(body).prompt as ChatPrompt;

/** The refusal of a body: its code, its field, its words. */
export const refusal = (work: () => unknown): { code: string; param: string | undefined; message: string } => {
  try {
    work();
  } catch (error) {
    const { code, message, details } = error as Error & { code: string; details: { param?: string } };
    return { code, message, param: details.param };
  }
  throw new Error('nothing was refused');
};
