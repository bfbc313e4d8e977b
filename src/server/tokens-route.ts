/**
 * `POST /tokenize`, `/detokenize` and `/apply-template`: what the model reads of a text or a conversation.
 * Source of the field names: llama.cpp's server.
 */
import { z } from 'zod';
import type { ChatPrompt, Engine, Prompt, TokenPiece } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import type { BodyBudget } from './body-budget.ts';
import { integer, invalidParam, optional, parseBody } from './dialects/body-schema.ts';
import { openaiChat } from './dialects/openai-chat.ts';
import type { HttpRequest } from './http.ts';
import { readJson } from './json-body.ts';
import type { Operation } from './operation.ts';
import type { PlainRoute } from './plain-route.ts';
import type { PromptCanon } from './prompt-canon.ts';

export interface TokensContext {
  readonly engine: Engine;
  readonly canon: PromptCanon;
  readonly bodies: BodyBudget;
  readonly bodyLimitBytes: number;
  ownerOf(request: HttpRequest): string;
  /** Takes one of the places for what costs the engine something. @throws EngineError overloaded */
  admit(): () => void;
}

/** The other fields of a chat request count, too. */
const templateBody = z.looseObject({ messages: z.array(z.unknown()).min(1) });

const tokenizeBody = z.looseObject({
  content: optional(z.string()),
  /** The same as `content`. */
  prompt: optional(z.string()),
  messages: optional(templateBody.shape.messages),
  add_special: optional(z.boolean()),
  parse_special: optional(z.boolean()),
  with_pieces: optional(z.boolean()),
});

const detokenizeBody = z.object({ tokens: z.array(integer(0)) });

export const TOKEN_OPERATIONS: readonly Operation[] = [
  {
    id: 'tokenize',
    method: 'POST',
    path: '/tokenize',
    summary: 'The token ids of a text or a conversation',
    body: tokenizeBody,
    answers: { 200: 'Tokenized' },
    errors: [429],
  },
  {
    id: 'detokenize',
    method: 'POST',
    path: '/detokenize',
    summary: 'The text of token ids',
    body: detokenizeBody,
    answers: { 200: 'Detokenized' },
    errors: [429],
  },
  {
    id: 'applyTemplate',
    method: 'POST',
    path: '/apply-template',
    summary: 'The text of a conversation for the model',
    body: templateBody,
    answers: { 200: 'RenderedPrompt' },
    errors: [429],
  },
];

/** An answer to a parsed body; `chat` reads a conversation out of it. */
type Answer = (engine: Engine, body: unknown, chat: ReadChat) => Promise<object>;

type ReadChat = (body: object) => Promise<ChatPrompt>;

const tokenize: Answer = async ({ tokenizer }, raw, chat) => {
  const body = parseBody(tokenizeBody, raw);
  const tokenIds = await tokenizer.tokenize(await promptOf(body, chat));
  if (!body.with_pieces) return { tokens: [...tokenIds] };
  const pieces = await tokenizer.pieces(tokenIds);
  return { tokens: pieces.map((piece, index) => ({ id: tokenIds[index], piece: pieceBody(piece) })) };
};

const promptOf = async (body: z.output<typeof tokenizeBody>, chat: ReadChat): Promise<Prompt> => {
  const text = body.content ?? body.prompt ?? undefined;
  if (text !== undefined && body.messages) throw invalidParam('messages', 'cannot stand beside content or prompt');
  if (body.messages) return chat(body);
  if (text === undefined) {
    const remedy = 'Field required, unless there is prompt or messages';
    throw invalidParam('content', remedy, 'missing_required_parameter');
  }
  return { kind: 'text', text, addSpecial: body.add_special ?? false, parseSpecial: body.parse_special ?? true };
};

const pieceBody = (piece: TokenPiece): string | number[] => (typeof piece === 'string' ? piece : [...piece]);

const detokenize: Answer = async ({ tokenizer }, raw) => ({
  content: await tokenizer.detokenize(parseBody(detokenizeBody, raw).tokens),
});

const applyTemplate: Answer = async ({ tokenizer }, raw, chat) => ({
  prompt: await tokenizer.renderPrompt(await chat(parseBody(templateBody, raw))),
});

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/tokenize': tokenize,
  '/detokenize': detokenize,
  '/apply-template': applyTemplate,
};

/** The three routes, for the table of paths. */
export const tokenRoutes = (context: TokensContext): PlainRoute[] =>
  Object.entries(ANSWERS).map(([path, answer]) => ({
    name: path,
    methods: ['POST'],
    async answer(request, reply) {
      const { bodies, bodyLimitBytes } = context;
      const giveBack = context.admit();
      const held = bodies.hold();
      try {
        const body = await readJson(request, bodyLimitBytes, held);
        const owner = context.ownerOf(request);
        const chat: ReadChat = (chatBody) => chatPrompt(context, chatBody, owner, reply.requestId);
        reply.json(200, await answer(context.engine, body, chat));
      } finally {
        held.release();
        giveBack();
      }
    },
  }));

/** The prompt that `/v1/chat/completions` makes of the same body. */
const chatPrompt = async (
  { engine, canon }: TokensContext,
  body: object,
  owner: string,
  requestId: string,
): Promise<ChatPrompt> => {
  const { model, tokenizer } = engine;
  const [route] = openaiChat.routes;
  const exchange = await route?.parse({ model: model.id, ...body }, { model, requestId, createdAt: 0, tokenizer });
  const prompt = exchange?.kind === 'generate' ? exchange.requests[0]?.prompt : undefined;
  if (prompt?.kind !== 'chat') throw new EngineError('internal', 'a chat request has no conversation');
  return canon.apply(owner, prompt) as ChatPrompt;
};
