/** An engine that says what a test tells it: for what the server makes of events, whichever model they come from. */
import { onTestFinished } from 'vitest';
import type { ChatPrompt, Engine, GenerationEvent, GenerationRequest, Prompt } from '../../src/runtime/api.ts';
import { createServer } from '../../src/server/app.ts';
import type { ServerOptions } from '../../src/server/options.ts';

export type Told = Exclude<GenerationEvent, { type: 'start' }>;

const contentText = ({ messages }: ChatPrompt): string => {
  const content = messages.at(-1)?.content ?? '';
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
};

/** The text that a prompt ends with. */
export const lastText = (prompt: Prompt): string =>
  prompt.kind === 'chat' ? contentText(prompt) : 'text' in prompt ? prompt.text : '';

const USAGE = { promptTokens: 20, cachedTokens: 4, completionTokens: 9, reasoningTokens: 0 };

export const finish = (reason: 'stop' | 'tool_calls' | 'length' = 'stop', usage: object = {}): Told => ({
  type: 'finish',
  reason,
  usage: { ...USAGE, ...usage },
});

/** The events of one call. */
export const call = (index: number, name: string, pieces: readonly string[], id = `call_${index}_${name}`): Told[] => [
  { type: 'tool_call_start', index, id, name },
  ...pieces.map((text): Told => ({ type: 'tool_call_arguments', index, text })),
  { type: 'tool_call_end', index },
];

export const say = (text: string): Told => ({ type: 'text', text });
export const think = (text: string): Told => ({ type: 'reasoning', text });

/** @param tell what a request is answered with; an Error among it is thrown in its place */
export const toldEngine = (tell: (request: GenerationRequest) => readonly (Told | Error)[]) => {
  const requests: GenerationRequest[] = [];
  const absent = (): never => {
    throw new Error('this engine keeps no sessions');
  };
  const engine: Engine = {
    model: {
      id: 'scripted',
      architecture: 'told',
      contextLength: 32_768,
      vocabularySize: 1000,
      hasChatTemplate: true,
      generates: true,
      fingerprint: 'f'.repeat(64),
      createdAt: 1_700_000_000,
    },
    adapter: 'none',
    generate: async (request) => {
      requests.push(request);
      const told = tell(request);
      return {
        promptTokens: USAGE.promptTokens,
        events: (async function* () {
          yield { type: 'start', promptTokens: USAGE.promptTokens, cachedTokens: USAGE.cachedTokens } as const;
          for (const event of told) {
            if (event instanceof Error) throw event;
            yield event;
          }
        })(),
      };
    },
    embed: absent,
    countTokens: async (prompt) => JSON.stringify(prompt).length,
    stats: absent,
    sessions: new Proxy({} as Engine['sessions'], { get: absent }),
    tokenizer: new Proxy({} as Engine['tokenizer'], { get: absent }),
    close: async () => undefined,
  };
  return { engine, requests };
};

/** A listening server over such an engine, closed after the test. */
export const serveTold = async (
  tell: (request: GenerationRequest) => readonly (Told | Error)[],
  options: Partial<ServerOptions> = {},
) => {
  const { engine, requests } = toldEngine(tell);
  const server = await createServer(engine, { port: 0, logLevel: 'silent', ...options });
  onTestFinished(() => server.close());
  return { url: server.url, requests };
};
