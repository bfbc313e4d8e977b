/** OpenAI's embeddings: `POST /v1/embeddings`. */
import { z } from 'zod';
import type { Embeddings, Prompt } from '../../runtime/api.ts';
import { integer, invalidParam, optional, parseBody } from './body-schema.ts';
import type { Dialect, EmbedExchange, ParseContext } from './dialect.ts';
import { checkModel, openaiError, openaiHeaders } from './openai.ts';

const MAX_INPUTS = 2048;
/** Of one request: what a step's worth of them takes to hold, not what a model could read. */
const MAX_TOKEN_IDS = 2 ** 22;

const tokenId = integer(0, 2 ** 32 - 1);

const embeddingBody = z.object({
  model: z.string().min(1),
  input: z.union([
    z.string(),
    z.array(z.string()),
    z.array(tokenId).max(MAX_TOKEN_IDS),
    z.array(z.array(tokenId).max(MAX_TOKEN_IDS)),
  ]),
  dimensions: optional(integer(1)),
  encoding_format: optional(z.enum(['float', 'base64'])),
  user: optional(z.string()),
});

type Input = z.output<typeof embeddingBody>['input'];

/** @throws EngineError invalid_request for empty inputs and too many of them */
const promptsOf = (input: Input): readonly Prompt[] => {
  const inputs = inputsOf(input);
  if (inputs.length === 0) throw invalidParam('input', 'must have at least one text', 'array_below_min_length');
  if (inputs.length > MAX_INPUTS) {
    const message = `has ${inputs.length} inputs, at most ${MAX_INPUTS} are taken: send several requests`;
    throw invalidParam('input', message, 'array_above_max_length');
  }
  return inputs.map((one, index) => {
    if (one.length === 0) throw invalidParam(inputs.length === 1 ? 'input' : `input.${index}`, 'must not be empty');
    return typeof one === 'string' ? { kind: 'text', text: one } : { kind: 'tokens', tokenIds: one };
  });
};

/** A list of token ids is one input. */
const inputsOf = (input: Input): readonly (string | readonly number[])[] => {
  if (typeof input === 'string') return [input];
  return input.every((item) => typeof item === 'number') && input.length > 0
    ? [input]
    : (input as (string | number[])[]);
};

const parse = (raw: unknown, { model }: ParseContext): EmbedExchange => {
  const body = parseBody(embeddingBody, raw);
  checkModel(body.model, model, 'embed');
  const encode = body.encoding_format === 'base64' ? base64Of : (embedding: Float32Array) => [...embedding];
  return {
    kind: 'embed',
    prompts: promptsOf(body.input),
    ...(typeof body.dimensions === 'number' ? { dimensions: body.dimensions } : {}),
    response: ({ embeddings, promptTokens }: Embeddings) => ({
      object: 'list',
      data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding: encode(embedding) })),
      model: model.id,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    }),
  };
};

/** Little-endian f32, as the SDKs decode it. */
const base64Of = (embedding: Float32Array): string => {
  const bytes = Buffer.alloc(4 * embedding.length);
  for (const [index, value] of embedding.entries()) bytes.writeFloatLE(value, 4 * index);
  return bytes.toString('base64');
};

export const openaiEmbeddings: Dialect = {
  name: 'openai-embeddings',
  vendor: 'openai',
  routes: [
    {
      path: '/v1/embeddings',
      operation: { id: 'createEmbedding', summary: 'Embeddings of texts', answer: 'EmbeddingList' },
      body: embeddingBody,
      parse,
    },
  ],
  headers: openaiHeaders,
  error: (error) => openaiError(error, 'input'),
};
