/** The GPU device goes away under load: requests fail so that clients retry, the process lives, the model comes back. */
import { expect, onTestFinished, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import type { GpuRunner } from '../../src/runtime/gpu-runner.ts';
import { createServer } from '../../src/server/app.ts';
import { until } from '../support/until.ts';

const start = async () => {
  const runners: GpuRunner[] = [];
  const engine = await createEngine(
    { model: EMBEDDED_MODEL_PATH, contextLength: 512, maxRunning: 4, numWorkerThreads: 1 },
    { onRunner: (runner) => runners.push(runner) },
  );
  onTestFinished(() => engine.close());
  const server = await createServer(engine, { port: 0, logLevel: 'silent' });
  onTestFinished(() => server.close());
  const chat = (text: string, more: object = {}): Promise<Response> =>
    fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: engine.model.id,
        messages: [{ role: 'user', content: text }],
        reasoning_effort: 'none',
        temperature: 0,
        ...more,
      }),
    });
  return { engine, runners, chat };
};

const choicesOf = async (answer: Response): Promise<unknown> => ((await answer.json()) as { choices: unknown }).choices;

test('a lost device fails what is in flight with a retryable error, and the next request is answered', async () => {
  const { engine, runners, chat } = await start();
  const before = await choicesOf(await chat('Count to 3'));
  const streamed = chat('Tell me a story', { stream: true });
  // A penalty needs whole rows of logits: the second way to read from the device.
  const whole = chat('Tell me a story', { frequency_penalty: 0.1 });
  const { completionTokens } = engine.stats();
  await until(() => engine.stats().running === 2 && engine.stats().completionTokens > completionTokens + 4);
  runners[0]!.loseDevice();

  const refused = await whole;
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ error: { type: 'server_error', code: 'device_lost' } });
  const frames = (await (await streamed).text()).trimEnd().split('\n\n');
  expect(JSON.parse(frames.at(-1)!.replace('data: ', ''))).toMatchObject({ error: { code: 'device_lost' } });

  const after = await chat('Count to 3');
  expect(after.status).toBe(200);
  expect(await choicesOf(after)).toEqual(before);
  expect(runners).toHaveLength(2);
  expect(engine.stats()).toMatchObject({ deviceLosses: 1, running: 0, kvBlocksUsed: 0 });
});
