/** LangChain JS through its chat models of both dialects. */
import { expect } from 'vitest';
import { type Script, serve } from '../support/serve.ts';
import { clientCase } from './client-case.ts';
import { importPeer } from './peers.ts';
import { READ_FILE, readerLoop } from './reader-tool.ts';
import { clientScript, pieces, QUESTION } from './scripts.ts';

const PEER = 'langchain-1';

interface Call {
  readonly id: string;
  readonly name: string;
  readonly args: { path: string };
}

interface Message {
  readonly text: string;
  readonly tool_calls?: readonly Call[];
  readonly usage_metadata?: { readonly output_tokens: number };
  concat(other: Message): Message;
}

interface ChatModel {
  bindTools(tools: readonly object[]): ChatModel;
  invoke(messages: readonly unknown[]): Promise<Message>;
  stream(messages: readonly unknown[]): Promise<AsyncIterable<Message>>;
}

type Construct<Made> = new (options: never) => Made;

const openai =
  (more: object) =>
  async (url: string): Promise<ChatModel> => {
    const { ChatOpenAI } = await importPeer<{ ChatOpenAI: Construct<ChatModel> }>(PEER, '@langchain/openai');
    const options = { model: 'scripted', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${url}/v1` } };
    return new ChatOpenAI({ ...options, ...more } as never);
  };

const anthropic = async (url: string): Promise<ChatModel> => {
  const { ChatAnthropic } = await importPeer<{ ChatAnthropic: Construct<ChatModel> }>(PEER, '@langchain/anthropic');
  return new ChatAnthropic({ model: 'scripted', apiKey: 'none', maxRetries: 0, anthropicApiUrl: url } as never);
};

const MODELS = [
  ['@langchain/openai 1.5.8', 'POST /v1/chat/completions', openai({})],
  ['@langchain/openai 1.5.8', 'POST /v1/responses', openai({ useResponsesApi: true })],
  ['@langchain/anthropic 1.5.11', 'POST /v1/messages', anthropic],
] as const;

/** A whole answer, or the chunks of one, joined. */
const ask = async (model: ChatModel, messages: readonly unknown[], isStream: boolean): Promise<Message> => {
  if (!isStream) return model.invoke(messages);
  let whole: Message | undefined;
  for await (const chunk of await model.stream(messages)) whole = whole?.concat(chunk) ?? chunk;
  if (whole === undefined) throw new Error('the stream was empty');
  return whole;
};

for (const [client, endpoint, connect] of MODELS) {
  const open = async (script: Script) => {
    const { url } = await serve(script);
    const core = await importPeer<{ HumanMessage: Construct<unknown>; ToolMessage: Construct<unknown> }>(
      PEER,
      '@langchain/core',
      './messages',
    );
    return { core, model: await connect(url) };
  };

  for (const isStream of [false, true]) {
    const way = isStream ? 'streamed' : 'whole';

    clientCase(client, endpoint, `gets an answer with its usage, ${way}`, async () => {
      const { core, model } = await open(clientScript([{ tokens: pieces('Hello from the model.') }]));
      const message = await ask(model, [new core.HumanMessage('hi' as never)], isStream);
      expect(message.text).toBe('Hello from the model.');
      expect(message.usage_metadata?.output_tokens).toBeGreaterThan(0);
    });

    clientCase(client, endpoint, `runs a tool and answers, ${way}`, async () => {
      const { script, answer, readFile } = readerLoop();
      const { core, model } = await open(script);
      const bound = model.bindTools([{ type: 'function', function: READ_FILE }]);
      const question = new core.HumanMessage(QUESTION as never);
      const first = await ask(bound, [question], isStream);
      const [call] = first.tool_calls ?? [];
      if (call === undefined) throw new Error(`no call in ${first.text}`);
      const result = { tool_call_id: call.id, name: call.name, content: readFile(call.args) };
      const second = await ask(bound, [question, first, new core.ToolMessage(result as never)], isStream);
      expect(second.text).toBe(answer);
    });
  }
}
