/**
 * Measures a real server over HTTP: total tok/s, time to first token and inter-token latency at 1 and 16 streams, and
 * memory before and after many requests. Tokens are counted by the server's usage; every status and every text is
 * checked, and a prompt must get the same greedy text alone and in a crowd.
 *
 *     npx tsx bench/serve.ts [--model PATH] [--streams 1,16] [--max-tokens 96] [--requests 1000] [--record]
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/cli/measure-model.ts';
import { recordResults } from './report.ts';

const launcher = fileURLToPath(new URL('../bin/firstlight.js', import.meta.url));

interface Target {
  readonly url: string;
  readonly adapter: string;
  /** As greeted: name, architecture, context. */
  readonly model: string;
  readonly modelId: string;
  close(): Promise<void>;
}

/** Starts `firstlight serve` on a free port and reads its greeting. */
const startServer = async (flags: readonly string[]): Promise<Target> => {
  const child = spawn(process.execPath, [launcher, 'serve', '--port', '0', '--log-level', 'warn', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const greeting = new Map<string, string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [key = '', ...rest] = line.split(/\s{2,}/);
    greeting.set(key, rest.join(' '));
    if (key === 'try') break;
  }
  const url = greeting.get('url');
  if (url === undefined) throw new Error(`the server ended with status ${await exited} before it greeted`);
  child.stdout.resume();
  return {
    url,
    adapter: greeting.get('adapter') ?? 'unknown adapter',
    model: greeting.get('model') ?? 'unknown model',
    modelId: greeting.get('model')?.split(' ')[0] ?? '',
    close: async () => {
      child.kill('SIGTERM');
      const status = await exited;
      if (status !== 0) throw new Error(`the server ended with status ${status} after SIGTERM`);
    },
  };
};

const SUBJECTS = ['a fox', 'a lamp', 'two boats', 'a bear', 'the moon', 'a small bird', 'a red car', 'an old tree'];
const promptOf = (index: number): string =>
  `Tell me a story about ${SUBJECTS[index % SUBJECTS.length]}${index < SUBJECTS.length ? '' : ` and the number ${index}`}.`;

interface Answer {
  readonly prompt: string;
  readonly text: string;
  readonly completionTokens: number;
  readonly ttftMs: number;
  /** Milliseconds between one piece of text and the next. */
  readonly gapsMs: readonly number[];
}

interface Chunk {
  readonly choices: readonly { delta?: { content?: string; reasoning?: string }; finish_reason?: string | null }[];
  readonly usage?: { completion_tokens: number } | null;
  readonly error?: unknown;
}

/** One streamed chat completion. @throws Error when status, order or text is not what a client may expect */
const ask = async ({ url, modelId }: Target, prompt: string, maxTokens: number): Promise<Answer> => {
  const start = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: modelId,
      messages: [{ role: 'user', content: prompt }],
      temperature: 0,
      max_tokens: maxTokens,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (response.status !== 200 || !response.body) throw new Error(`status ${response.status}: ${await response.text()}`);
  const times: number[] = [];
  let text = '';
  let finish: string | null | undefined;
  let completionTokens = 0;
  let isDone = false;
  for await (const data of eventData(response.body)) {
    isDone = data === '[DONE]';
    if (isDone) break;
    const chunk: Chunk = JSON.parse(data);
    if (chunk.error !== undefined) throw new Error(`error in the stream: ${data}`);
    const delta = chunk.choices[0]?.delta;
    const piece = (delta?.content ?? '') + (delta?.reasoning ?? '');
    if (piece !== '') times.push(performance.now());
    text += piece;
    finish = chunk.choices[0]?.finish_reason ?? finish;
    completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
  }
  if (!isDone || !(finish === 'stop' || finish === 'length') || completionTokens === 0 || text === '') {
    throw new Error(`an incomplete answer: ${JSON.stringify({ isDone, finish, completionTokens, text })}`);
  }
  const gapsMs = times.slice(1).map((time, index) => time - times[index]!);
  return { prompt, text, completionTokens, ttftMs: times[0]! - start, gapsMs };
};

async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) if (event.startsWith('data: ')) yield event.slice('data: '.length);
  }
}

/** Keeps `streams` requests running until `requests` are answered. */
const crowd = async (
  target: Target,
  streams: number,
  requests: number,
  maxTokens: number,
): Promise<{ answers: Answer[]; seconds: number }> => {
  const answers: Answer[] = [];
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: streams }, async () => {
      while (next < requests) answers.push(await ask(target, promptOf(next++ % 64), maxTokens));
    }),
  );
  return { answers, seconds: (performance.now() - start) / 1000 };
};

/** @throws Error when a prompt got two texts */
const checkTexts = (answers: readonly Answer[], known: Map<string, string>): void => {
  for (const { prompt, text } of answers) {
    const before = known.get(prompt) ?? text;
    known.set(prompt, before);
    if (before !== text) throw new Error(`'${prompt}' was answered\n${before}\nand later\n${text}`);
  }
};

const residentMib = async ({ url }: Target): Promise<number> => {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const value = /^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1];
  if (value === undefined) throw new Error('/metrics has no process_resident_memory_bytes');
  return Number(value) / 1024 ** 2;
};

const summary = (answers: readonly Answer[], seconds: number): string => {
  const tokens = answers.reduce((sum, answer) => sum + answer.completionTokens, 0);
  const ttft = answers.map((answer) => answer.ttftMs);
  const gaps = answers.flatMap((answer) => answer.gapsMs);
  const both = (values: readonly number[]): string =>
    `p50 ${percentile(values, 0.5).toFixed(1)} ms, p95 ${percentile(values, 0.95).toFixed(1)} ms`;
  return `${(tokens / seconds).toFixed(1)} tok/s in all (${tokens} tokens, ${answers.length} requests); TTFT ${both(ttft)}; inter-token ${both(gaps)}`;
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      streams: { type: 'string', default: '1,16' },
      'max-tokens': { type: 'string', default: '96' },
      requests: { type: 'string', default: '1000' },
      record: { type: 'boolean', default: false },
    },
  });
  const maxTokens = Number(values['max-tokens']);
  const numRequests = Number(values.requests);
  const target = await startServer(values.model === undefined ? [] : ['--model', values.model]);
  const results: { what: string; figures: string }[] = [];
  const note = (what: string, figures: string): void => {
    console.log(`${what}: ${figures}`);
    results.push({ what: `${target.model}; ${what}`, figures });
  };
  try {
    const texts = new Map<string, string>();
    await ask(target, promptOf(0), 2); // Kernels that compile on first use do it here.
    for (const streams of values.streams.split(',').map(Number)) {
      const { answers, seconds } = await crowd(target, streams, Math.max(16, streams), maxTokens);
      checkTexts(answers, texts);
      note(`${streams} streams, at most ${maxTokens} tokens each, greedy`, summary(answers, seconds));
    }
    if (numRequests > 0) {
      const before = await residentMib(target);
      const { answers, seconds } = await crowd(target, 16, numRequests, 16);
      const after = await residentMib(target);
      checkTexts(answers, new Map());
      note(
        `${answers.length} requests, 16 at a time, at most 16 tokens each`,
        `resident memory ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB after; ${summary(answers, seconds)}`,
      );
    }
  } finally {
    await target.close();
  }
  if (values.record) {
    const command = `npx tsx bench/serve.ts ${process.argv.slice(2).join(' ')}`.trim();
    recordResults('Serving over HTTP', results, target.adapter, command);
  }
};

await main();
