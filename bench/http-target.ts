/** A server of our own in its own process, and streamed answers from it: what every bench over HTTP starts from. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../bin/firstlight.js', import.meta.url));

export interface Target {
  readonly url: string;
  readonly adapter: string;
  /** As greeted: name, architecture, context. */
  readonly model: string;
  readonly modelId: string;
  /** From the start of the process to its greeting. */
  readonly startMs: number;
  /** SIGTERM. @throws Error unless the server ends with status 0 */
  close(): Promise<void>;
}

/** Starts `firstlight serve` on a free port and reads its greeting. */
export const startServer = async (flags: readonly string[]): Promise<Target> => {
  const start = performance.now();
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
    startMs: performance.now() - start,
    close: async () => {
      child.kill('SIGTERM');
      const status = await exited;
      if (status !== 0) throw new Error(`the server ended with status ${status} after SIGTERM`);
    },
  };
};

/** What to answer, without the fields that every streamed request has. */
export type Question =
  | { readonly messages: readonly { readonly role: string; readonly content: string }[] }
  | { readonly prompt: string };

export interface Answer {
  readonly text: string;
  /** The server's usage. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** From the request to the first event with text. */
  readonly ttftMs: number;
  readonly totalMs: number;
  /** Milliseconds between one piece of text and the next. */
  readonly gapsMs: readonly number[];
  /** Absent where the server names none. */
  readonly requestId?: string;
}

interface Chunk {
  readonly choices: readonly {
    text?: string;
    delta?: { content?: string; reasoning?: string };
    finish_reason?: string | null;
  }[];
  readonly usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
  readonly error?: unknown;
}

/**
 * One streamed greedy answer: to messages by `/v1/chat/completions`, to a plain text by `/v1/completions`.
 * @throws Error when status, order or text is not what a client may expect
 */
export const ask = async (
  { url, modelId }: Target,
  question: Question,
  maxTokens: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> => {
  const start = performance.now();
  const response = await fetch(`${url}${'messages' in question ? '/v1/chat/completions' : '/v1/completions'}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      model: modelId,
      ...question,
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
  let usage: Chunk['usage'];
  let isDone = false;
  for await (const data of eventData(response.body)) {
    isDone = data === '[DONE]';
    if (isDone) break;
    const chunk: Chunk = JSON.parse(data);
    if (chunk.error !== undefined) throw new Error(`error in the stream: ${data}`);
    const choice = chunk.choices[0];
    const piece = (choice?.text ?? '') + (choice?.delta?.content ?? '') + (choice?.delta?.reasoning ?? '');
    if (piece !== '') times.push(performance.now());
    text += piece;
    finish = choice?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  if (!isDone || !(finish === 'stop' || finish === 'length') || !usage?.completion_tokens || text === '') {
    throw new Error(`an incomplete answer: ${JSON.stringify({ isDone, finish, usage, text })}`);
  }
  const requestId = response.headers.get('x-request-id');
  return {
    text,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
    ttftMs: times[0]! - start,
    totalMs: performance.now() - start,
    gapsMs: times.slice(1).map((time, index) => time - times[index]!),
    ...(requestId === null ? {} : { requestId }),
  };
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

/** What `/metrics` says now, by name and labels: `firstlight_kv_tier_bytes{tier="ram"}`. */
export const readMetrics = async ({ url }: Target): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new Map(
    [...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]),
  );
};

/** @throws Error when `/metrics` has no such line */
export const metric = (metrics: ReadonlyMap<string, number>, name: string): number => {
  const value = metrics.get(name);
  if (value === undefined) throw new Error(`/metrics has no ${name}`);
  return value;
};
