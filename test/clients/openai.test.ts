/** Both majors of OpenAI's own SDK on every endpoint that it has a method for. */
import { join } from 'node:path';
import OpenAI from 'openai';
import OpenAI7 from 'openai-7';
import { expect, onTestFinished } from 'vitest';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { createServer } from '../../src/server/app.ts';
import { temporaryFolder } from '../support/firstlight.ts';
import { type Script, serve } from '../support/serve.ts';
import { writeTinyEncoder } from '../support/tiny-encoders.ts';
import { clientCase } from './client-case.ts';
import { OBJECT, parseArguments, READ_FILE, readerLoop, SCHEMA } from './reader-tool.ts';
import { clientScript, jsonTokens, pieces, QUESTION } from './scripts.ts';

const HELLO = clientScript([{ tokens: pieces('Hello from the model.') }]);
const THINKING = clientScript([{ tokens: ['<think>', 'Hm', '</think>', 'Yes', '.'] }], { reasoningFormat: 'think' });
const JSON_ANSWER = clientScript([{ tokens: jsonTokens(OBJECT) }]);
const hi = [{ role: 'user' as const, content: 'hi' }];
const model = 'scripted';

/** A real, tiny encoder: the scripted model makes no embeddings. */
const openEncoder = async (Sdk: typeof OpenAI): Promise<OpenAI> => {
  const path = join(temporaryFolder(), 'tiny.gguf');
  writeTinyEncoder(path, 'nomic-bert', { weights: 'Q8_0' });
  const engine = await createEngine({ model: path, numWorkerThreads: 1, activations: 'f32' });
  const server = await createServer(engine, { port: 0, logLevel: 'silent' });
  onTestFinished(async () => {
    await server.close();
    await engine.close();
  });
  return new Sdk({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
};

const CLIENTS = { 'openai 6.49.0': OpenAI, 'openai 7.55.0': OpenAI7 as unknown as typeof OpenAI };

for (const [client, Sdk] of Object.entries(CLIENTS)) {
  const open = async (script: Script): Promise<OpenAI> => {
    const { url } = await serve(script);
    return new Sdk({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  };

  clientCase(client, 'GET /v1/models', 'lists the model, and gets it by name', async () => {
    const sdk = await open(HELLO);
    const names: string[] = [];
    for await (const { id } of sdk.models.list()) names.push(id);
    expect(names).toContain(model);
    expect(await sdk.models.retrieve(model)).toMatchObject({ id: model, object: 'model' });
  });

  clientCase(client, 'POST /v1/chat/completions', 'gets a whole answer', async () => {
    const sdk = await open(HELLO);
    const { choices, usage } = await sdk.chat.completions.create({ model, messages: hi });
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Hello from the model.' } });
    expect(usage?.total_tokens).toBeGreaterThan(0);
  });

  clientCase(client, 'POST /v1/chat/completions', 'streams an answer with its usage', async () => {
    const sdk = await open(HELLO);
    const stream = sdk.chat.completions.stream({ model, messages: hi, stream_options: { include_usage: true } });
    expect(await stream.finalContent()).toBe('Hello from the model.');
    expect((await stream.totalUsage()).completion_tokens).toBeGreaterThan(0);
  });

  clientCase(client, 'POST /v1/chat/completions', 'runs a tool and answers, whole', async () => {
    const { script, answer, readFile } = readerLoop();
    const sdk = await open(script);
    const runner = sdk.chat.completions.runTools({
      model,
      messages: [{ role: 'user', content: QUESTION }],
      tools: [{ type: 'function', function: { ...READ_FILE, parse: parseArguments, function: readFile } }],
    });
    expect(await runner.finalContent()).toBe(answer);
  });

  clientCase(client, 'POST /v1/chat/completions', 'runs a tool and answers, streamed', async () => {
    const { script, answer, readFile } = readerLoop();
    const sdk = await open(script);
    const runner = sdk.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: 'user', content: QUESTION }],
      tools: [{ type: 'function', function: { ...READ_FILE, parse: parseArguments, function: readFile } }],
    });
    expect(await runner.finalContent()).toBe(answer);
  });

  clientCase(client, 'POST /v1/chat/completions', 'parses an answer in the form of a schema', async () => {
    const sdk = await open(JSON_ANSWER);
    const format = { type: 'json_schema', json_schema: { name: 'city', strict: true, schema: SCHEMA } } as const;
    const { choices } = await sdk.chat.completions.create({ model, messages: hi, response_format: format });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual(OBJECT);
  });

  clientCase(client, 'POST /v1/chat/completions', 'sees reasoning beside the answer', async () => {
    const sdk = await open(THINKING);
    const { choices, usage } = await sdk.chat.completions.create({ model, messages: hi });
    expect(choices[0]?.message).toMatchObject({ content: 'Yes.', reasoning_content: 'Hm' });
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(0);
  });

  clientCase(client, 'POST /v1/chat/completions', 'throws its own error for a bad request', async () => {
    const sdk = await open(HELLO);
    await expect(sdk.chat.completions.create({ model, messages: hi, temperature: 9 })).rejects.toThrow(
      Sdk.BadRequestError,
    );
    await expect(sdk.chat.completions.create({ model: 'nobody', messages: hi })).rejects.toThrow(Sdk.NotFoundError);
  });

  clientCase(client, 'POST /v1/completions', 'continues a text, whole and streamed', async () => {
    const sdk = await open(HELLO);
    const body = { model, prompt: 'Once', max_tokens: 64 };
    expect((await sdk.completions.create(body)).choices[0]?.text).toBe('Hello from the model.');
    let text = '';
    for await (const chunk of await sdk.completions.create({ ...body, stream: true }))
      text += chunk.choices[0]?.text ?? '';
    expect(text).toBe('Hello from the model.');
  });

  clientCase(client, 'POST /v1/responses', 'gets a whole response', async () => {
    const sdk = await open(HELLO);
    const response = await sdk.responses.create({ model, input: 'hi' });
    expect(response).toMatchObject({ status: 'completed', output_text: 'Hello from the model.' });
  });

  clientCase(client, 'POST /v1/responses', 'streams a response', async () => {
    const sdk = await open(HELLO);
    const stream = sdk.responses.stream({ model, input: 'hi' });
    let text = '';
    for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
    expect(text).toBe('Hello from the model.');
    expect(await stream.finalResponse()).toMatchObject({ status: 'completed', output_text: text });
  });

  clientCase(client, 'POST /v1/responses', 'goes on after a tool call by the id of the response', async () => {
    const { script, answer, readFile } = readerLoop();
    const sdk = await open(script);
    const tools = [{ type: 'function' as const, ...READ_FILE, strict: true }];
    const first = await sdk.responses.stream({ model, input: QUESTION, tools }).finalResponse();
    const call = first.output.find((item) => item.type === 'function_call');
    if (call?.type !== 'function_call') throw new Error(`no call in ${JSON.stringify(first.output)}`);
    const output = readFile(parseArguments(call.arguments));
    const result = { type: 'function_call_output' as const, call_id: call.call_id, output };
    const second = await sdk.responses.create({ model, previous_response_id: first.id, input: [result], tools });
    expect(second.output_text).toBe(answer);
  });

  clientCase(client, 'POST /v1/responses', 'parses an answer in the form of a schema', async () => {
    const sdk = await open(JSON_ANSWER);
    const format = { type: 'json_schema', name: 'city', strict: true, schema: SCHEMA } as const;
    const response = await sdk.responses.create({ model, input: 'hi', text: { format } });
    expect(JSON.parse(response.output_text)).toEqual(OBJECT);
  });

  clientCase(client, 'POST /v1/responses', 'streams reasoning apart from the answer', async () => {
    const sdk = await open(THINKING);
    const response = await sdk.responses.stream({ model, input: 'hi' }).finalResponse();
    expect(response.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
    expect(response.output_text).toBe('Yes.');
  });

  clientCase(
    client,
    'GET, DELETE /v1/responses/{id}',
    'finds a stored response, its input, and deletes it',
    async () => {
      const sdk = await open(HELLO);
      const { id } = await sdk.responses.create({ model, input: 'hi' });
      expect(await sdk.responses.retrieve(id)).toMatchObject({ id, output_text: 'Hello from the model.' });
      const items: string[] = [];
      for await (const item of sdk.responses.inputItems.list(id)) items.push(item.type ?? '');
      expect(items).toEqual(['message']);
      await sdk.responses.delete(id);
      await expect(sdk.responses.retrieve(id)).rejects.toThrow(Sdk.NotFoundError);
    },
  );

  clientCase(client, 'POST /v1/embeddings', 'gets vectors, in base64 and in numbers', async () => {
    const sdk = await openEncoder(Sdk);
    const body = { model: 'tiny', input: ['the quick fox', 'a lazy dog'] };
    const { data } = await sdk.embeddings.create(body);
    const plain = await sdk.embeddings.create({ ...body, encoding_format: 'float' });
    expect(data).toHaveLength(2);
    expect(data[0]?.embedding.length).toBeGreaterThan(0);
    for (const [index, { embedding }] of plain.data.entries())
      for (const [column, value] of embedding.entries()) expect(data[index]?.embedding[column]).toBeCloseTo(value, 6);
  });
}
