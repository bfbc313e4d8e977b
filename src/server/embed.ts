/** Answers a request for embeddings; who leaves before the end stops the work. */
import type { Engine } from '../runtime/api.ts';
import type { EmbedExchange } from './dialects/dialect.ts';
import type { ExchangeReply } from './generate.ts';

/** @throws EngineError as `Engine.embed` */
export const embed = async (engine: Engine, exchange: EmbedExchange, reply: ExchangeReply): Promise<void> => {
  const { prompts, dimensions, response } = exchange;
  const options = { signal: reply.signal, ...(dimensions === undefined ? {} : { dimensions }) };
  const embeddings = await engine.embed(prompts, options);
  const { promptTokens } = embeddings;
  reply.usage = { promptTokens, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 };
  reply.json(200, response(embeddings));
};
