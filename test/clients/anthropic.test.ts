/** Two versions of Anthropic's own SDK, either side of the protocol's change of October 2026, on every endpoint. */
import Anthropic from '@anthropic-ai/sdk';
import Anthropic2023 from '@anthropic-ai/sdk-2023';
import { expect } from 'vitest';
import { type Script, serve } from '../support/serve.ts';
import { clientCase } from './client-case.ts';
import { OBJECT, READ_FILE, readerLoop, SCHEMA } from './reader-tool.ts';
import { clientScript, jsonTokens, pieces, QUESTION } from './scripts.ts';

const HELLO = clientScript([{ tokens: pieces('Hello from the model.') }]);
const THINKING = clientScript([{ tokens: ['<think>', 'Hm', '</think>', 'Yes', '.'] }], { reasoningFormat: 'think' });
const JSON_ANSWER = clientScript([{ tokens: jsonTokens(OBJECT) }]);
const model = 'scripted';
const hi = { model, max_tokens: 256, messages: [{ role: 'user' as const, content: 'hi' }] };
const { parameters, ...tool } = READ_FILE;
const tools = [{ ...tool, input_schema: parameters }];

const CLIENTS = {
  '@anthropic-ai/sdk 0.137.0': Anthropic2023 as unknown as typeof Anthropic,
  '@anthropic-ai/sdk 1.11.0': Anthropic,
};

for (const [client, Sdk] of Object.entries(CLIENTS)) {
  const open = async (script: Script): Promise<Anthropic> => {
    const { url } = await serve(script);
    return new Sdk({ baseURL: url, apiKey: 'none', maxRetries: 0 });
  };

  clientCase(client, 'GET /v1/models', 'lists the model, and gets it by name', async () => {
    const sdk = await open(HELLO);
    const names: string[] = [];
    for await (const { id } of sdk.models.list()) names.push(id);
    expect(names).toContain(model);
    expect(await sdk.models.retrieve(model)).toMatchObject({ id: model, type: 'model' });
  });

  clientCase(client, 'POST /v1/messages', 'gets a whole answer', async () => {
    const message = await (await open(HELLO)).messages.create(hi);
    expect(message).toMatchObject({
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: 'Hello from the model.' }],
    });
  });

  clientCase(client, 'POST /v1/messages', 'streams an answer', async () => {
    const stream = (await open(HELLO)).messages.stream(hi);
    expect(await stream.finalText()).toBe('Hello from the model.');
    expect((await stream.finalMessage()).usage.output_tokens).toBeGreaterThan(0);
  });

  for (const isStream of [false, true]) {
    const way = isStream ? 'streamed' : 'whole';
    clientCase(client, 'POST /v1/messages', `runs a tool and answers, ${way}`, async () => {
      const { script, answer, readFile } = readerLoop();
      const sdk = await open(script);
      const ask = (messages: Anthropic.MessageParam[]): Promise<Anthropic.Message> => {
        const body = { ...hi, messages, tools };
        return isStream ? sdk.messages.stream(body).finalMessage() : sdk.messages.create(body);
      };
      const question: Anthropic.MessageParam = { role: 'user', content: QUESTION };
      const first = await ask([question]);
      expect(first.stop_reason).toBe('tool_use');
      const call = first.content.find((block) => block.type === 'tool_use');
      if (call?.type !== 'tool_use') throw new Error(`no call in ${JSON.stringify(first.content)}`);
      const content = readFile(call.input as { path: string });
      const result: Anthropic.MessageParam = {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: call.id, content }],
      };
      const second = await ask([question, { role: 'assistant', content: first.content }, result]);
      expect(second).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text', text: answer }] });
    });
  }

  clientCase(client, 'POST /v1/messages', 'streams thinking with one signature, and takes it back', async () => {
    const sdk = await open(THINKING);
    const message = await sdk.messages.stream(hi).finalMessage();
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm', signature: expect.stringMatching(/./) },
      { type: 'text', text: 'Yes.' },
    ]);
    const again = [...hi.messages, { role: 'assistant' as const, content: message.content }, ...hi.messages];
    expect((await sdk.messages.create({ ...hi, messages: again })).stop_reason).toBe('end_turn');
  });

  clientCase(client, 'POST /v1/messages', 'parses an answer in the form of a schema', async () => {
    const sdk = await open(JSON_ANSWER);
    const format = { type: 'json_schema' as const, schema: SCHEMA };
    const message = await sdk.messages.create({ ...hi, output_config: { format } });
    expect(JSON.parse(message.content[0]?.type === 'text' ? message.content[0].text : '')).toEqual(OBJECT);
  });

  clientCase(client, 'POST /v1/messages', 'throws its own error for a bad request', async () => {
    const sdk = await open(HELLO);
    await expect(sdk.messages.create({ ...hi, messages: [] })).rejects.toThrow(Sdk.BadRequestError);
    await expect(sdk.messages.create({ ...hi, model: 'nobody' })).rejects.toThrow(Sdk.NotFoundError);
  });

  clientCase(client, 'POST /v1/messages/count_tokens', 'counts system and tools, too', async () => {
    const sdk = await open(HELLO);
    const { max_tokens: _, ...prompt } = hi;
    const few = await sdk.messages.countTokens(prompt);
    const more = await sdk.messages.countTokens({ ...prompt, system: 'Be brief.' });
    expect(more.input_tokens).toBeGreaterThan(few.input_tokens);
    const { usage } = await sdk.messages.create(hi);
    const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
    expect(usage.input_tokens + cached).toBe(few.input_tokens);
  });
}
