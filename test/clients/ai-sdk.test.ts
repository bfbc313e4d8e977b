/** Vercel's AI SDK through its three providers. */
import { expect } from 'vitest';
import { type Script, serve } from '../support/serve.ts';
import { clientCase } from './client-case.ts';
import { importPeer, peerVersion } from './peers.ts';
import { OBJECT, READ_FILE, readerLoop, SCHEMA } from './reader-tool.ts';
import { clientScript, jsonTokens, pieces, QUESTION } from './scripts.ts';

const PEERS = ['ai-sdk-6', 'ai-sdk-7'] as const;
type SdkPeer = (typeof PEERS)[number];

/** As much of the SDK as the tests use. */
interface Sdk {
  generateText(options: object): Promise<{
    text: string;
    reasoningText?: string;
    finishReason: string;
    output: unknown;
    steps: readonly unknown[];
    usage: { outputTokens: number };
  }>;
  streamText(options: object): {
    textStream: AsyncIterable<string>;
    text: Promise<string>;
    reasoningText: Promise<string | undefined>;
    steps: Promise<readonly unknown[]>;
  };
  tool(options: object): unknown;
  jsonSchema(schema: object): unknown;
  stepCountIs(count: number): unknown;
  Output: { object(options: object): unknown };
}

type Provider = (peer: SdkPeer, url: string) => Promise<unknown>;

const provider =
  (path: string, factory: string, settings: (url: string) => object, pick: (made: never) => unknown): Provider =>
  async (peer, url) => {
    const module = await importPeer<Record<string, (options: object) => never>>(peer, path);
    return pick(module[factory]!({ apiKey: 'none', ...settings(url) }));
  };

const call = (made: (name: string) => unknown): unknown => made('scripted');
const v1 = (url: string): object => ({ baseURL: `${url}/v1` });

const PROVIDERS: Readonly<Record<string, readonly [endpoint: string, provider: Provider]>> = {
  '@ai-sdk/openai-compatible': [
    'POST /v1/chat/completions',
    provider(
      '@ai-sdk/openai-compatible',
      'createOpenAICompatible',
      (url) => ({ ...v1(url), name: 'local', supportsStructuredOutputs: true, includeUsage: true }),
      call,
    ),
  ],
  '@ai-sdk/anthropic': ['POST /v1/messages', provider('@ai-sdk/anthropic', 'createAnthropic', v1, call)],
  '@ai-sdk/openai': [
    'POST /v1/responses',
    provider('@ai-sdk/openai', 'createOpenAI', v1, ({ responses }: { responses: typeof call }) =>
      (responses as unknown as (name: string) => unknown)('scripted'),
    ),
  ],
};

const cases = PEERS.flatMap((peer) =>
  Object.entries(PROVIDERS).map(([name, [endpoint, connect]]) => ({ peer, name, endpoint, connect })),
);

for (const { peer, name, endpoint, connect } of cases) {
  const client = `${name} ${peerVersion(peer, name)}`;
  const open = async (script: Script) => {
    const { url } = await serve(script);
    const sdk = await importPeer<Sdk>(peer, 'ai');
    return { sdk, model: await connect(peer, url) };
  };
  const readerTools = (sdk: Sdk, readFile: (input: { path: string }) => string) => ({
    [READ_FILE.name]: sdk.tool({
      description: READ_FILE.description,
      inputSchema: sdk.jsonSchema(READ_FILE.parameters),
      execute: async (input: { path: string }) => readFile(input),
    }),
  });

  clientCase(client, endpoint, 'gets a whole answer', async () => {
    const { sdk, model } = await open(clientScript([{ tokens: pieces('Hello from the model.') }]));
    const { text, finishReason, usage } = await sdk.generateText({ model, prompt: 'hi', maxRetries: 0 });
    expect([text, finishReason]).toEqual(['Hello from the model.', 'stop']);
    expect(usage.outputTokens).toBeGreaterThan(0);
  });

  clientCase(client, endpoint, 'streams an answer', async () => {
    const { sdk, model } = await open(clientScript([{ tokens: pieces('Hello from the model.') }]));
    let text = '';
    for await (const piece of sdk.streamText({ model, prompt: 'hi', maxRetries: 0 }).textStream) text += piece;
    expect(text).toBe('Hello from the model.');
  });

  clientCase(client, endpoint, 'runs a tool and answers, whole', async () => {
    const { script, answer, readFile } = readerLoop();
    const { sdk, model } = await open(script);
    const options = {
      model,
      prompt: QUESTION,
      tools: readerTools(sdk, readFile),
      stopWhen: sdk.stepCountIs(3),
      maxRetries: 0,
    };
    const { text, steps } = await sdk.generateText(options);
    expect([text, steps.length]).toEqual([answer, 2]);
  });

  clientCase(client, endpoint, 'runs a tool and answers, streamed', async () => {
    const { script, answer, readFile } = readerLoop();
    const { sdk, model } = await open(script);
    const options = {
      model,
      prompt: QUESTION,
      tools: readerTools(sdk, readFile),
      stopWhen: sdk.stepCountIs(3),
      maxRetries: 0,
    };
    const result = sdk.streamText(options);
    for await (const _ of result.textStream);
    expect([await result.text, (await result.steps).length]).toEqual([answer, 2]);
  });

  clientCase(client, endpoint, 'parses an answer in the form of a schema', async () => {
    const { sdk, model } = await open(clientScript([{ tokens: jsonTokens(OBJECT) }]));
    const output = sdk.Output.object({ schema: sdk.jsonSchema(SCHEMA) });
    // To models that it does not know, its Anthropic provider would give a tool instead.
    const providerOptions = { anthropic: { structuredOutputMode: 'outputFormat' } };
    const options = { model, prompt: 'hi', output, providerOptions, maxRetries: 0 };
    expect((await sdk.generateText(options)).output).toEqual(OBJECT);
  });

  clientCase(client, endpoint, 'streams reasoning apart from the answer', async () => {
    const replies = [{ tokens: ['<think>', 'Hm', '</think>', 'Yes', '.'] }];
    const { sdk, model } = await open(clientScript(replies, { reasoningFormat: 'think' }));
    // Of OpenAI's own reasoning, its provider shows summaries alone, and only to models it knows or is told of.
    const providerOptions = { openai: { reasoningSummary: 'auto', forceReasoning: true } };
    const result = sdk.streamText({ model, prompt: 'hi', providerOptions, maxRetries: 0 });
    for await (const _ of result.textStream);
    expect([await result.reasoningText, await result.text]).toEqual(['Hm', 'Yes.']);
  });
}
