/**
 * Measures what carries events: WebSocket (JSON and MessagePack frames, all streams on one socket) against SSE (a
 * connection each), over the scripted model, which makes tokens as fast as the engine's loop goes. Events a second as
 * the client sees them, and bytes a token as they come off the TCP connection, heads and framing included. Every answer
 * is checked.
 *
 *     npx tsx bench/sockets.ts [--streams 1,16,64] [--tokens 256] [--answers 8] [--rounds 3] [--record]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Packr, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { percentile } from '../src/cli/measure-model.ts';
import { type ChatChunk, type FrameCodec, jsonCodec, msgpackCodec } from '../src/client/index.ts';
import { SseParser } from '../src/client/sse-parser.ts';
import { startServer, type Target } from './http-target.ts';
import { type Result, recordResults } from './report.ts';

const PATH = '/v1/chat/completions';
const WORDS = [' the', ' quick', ' brown', ' fox', ' jumps', ' over', ' a', ' lazy', ' dog', ',', ' again', '.\n'];

/** Collects one answer. */
class Answer {
  numEvents = 0;
  #text = '';
  #finish: string | null = null;

  add({ choices }: ChatChunk): void {
    this.numEvents++;
    this.#text += choices[0]?.delta.content ?? '';
    this.#finish = choices[0]?.finish_reason ?? this.#finish;
  }

  /** @throws Error when a token is missing, or the end */
  check(expected: string): void {
    if (this.#text === expected && this.#finish === 'stop') return;
    throw new Error(
      `an answer of ${this.#text.length} characters, finish ${this.#finish}: ${expected.length} expected`,
    );
  }
}

interface Measurement {
  readonly numEvents: number;
  readonly numBytes: number;
  readonly seconds: number;
}

interface Load {
  readonly target: Target;
  readonly numStreams: number;
  /** Of each stream, one after another. */
  readonly numAnswers: number;
  readonly numTokens: number;
  /** What all of them must be. */
  readonly text: string;
}

const bodyOf = ({ modelId }: Target): object => ({
  model: modelId,
  temperature: 0,
  messages: [{ role: 'user', content: 'go' }],
});

const overSse = async (load: Load): Promise<Measurement> => {
  const { target, numStreams, numAnswers, text } = load;
  const body = JSON.stringify({ ...bodyOf(target), stream: true });
  let numEvents = 0;
  let numBytes = 0;
  const start = performance.now();
  const stream = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let socket: Socket | undefined;
    for (let index = 0; index < numAnswers; index++) {
      const response = await post(target.url + PATH, body, agent);
      socket = response.socket;
      const answer = await readSse(response);
      answer.check(text);
      numEvents += answer.numEvents;
    }
    numBytes += socket?.bytesRead ?? 0;
    agent.destroy();
  };
  await Promise.all(Array.from({ length: numStreams }, stream));
  return { numEvents, numBytes, seconds: (performance.now() - start) / 1000 };
};

const post = (url: string, body: string, agent: Agent): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const outgoing = request(url, { method: 'POST', headers, agent }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`status ${response.statusCode}`));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });

const readSse = async (response: IncomingMessage): Promise<Answer> => {
  const answer = new Answer();
  const parser = new SseParser();
  response.setEncoding('utf8');
  for await (const piece of response) {
    for (const { data } of parser.push(piece as string))
      if (data !== '[DONE]') answer.add(JSON.parse(data) as ChatChunk);
  }
  return answer;
};

interface Frame {
  readonly type: 'event' | 'done' | 'error';
  readonly id: string;
  readonly event: ChatChunk;
}

const overSocket =
  (makeCodec: () => FrameCodec) =>
  async (load: Load): Promise<Measurement> => {
    const { target, numStreams, numAnswers, text } = load;
    const codec = makeCodec();
    const start = performance.now();
    const ws = new WebSocket(target.url.replace('http', 'ws') + PATH, [codec.protocol]);
    let socket: Socket | undefined;
    ws.once('upgrade', (response) => {
      socket = response.socket;
    });
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    let numEvents = 0;
    await new Promise<void>((resolve, reject) => {
      const answers = new Map<string, Answer>();
      let numLeft = numStreams * numAnswers;
      const next = (stream: string, index: number): void => {
        const id = `${stream}.${index}`;
        answers.set(id, new Answer());
        ws.send(codec.encode({ type: 'request', id, body: bodyOf(target) }));
      };
      ws.on('close', () => reject(new Error('the socket closed')));
      ws.on('message', (bytes: Buffer, isBinary: boolean) => {
        const { type, id, event } = codec.decode(isBinary ? bytes : bytes.toString()) as Frame;
        const answer = answers.get(id);
        if (type === 'event') answer?.add(event);
        else if (type === 'error' || answer === undefined) reject(new Error(`an error in place of answer ${id}`));
        else {
          answer.check(text);
          numEvents += answer.numEvents;
          answers.delete(id);
          const [stream = '', index] = id.split('.');
          if (Number(index) + 1 < numAnswers) next(stream, Number(index) + 1);
          if (--numLeft === 0) resolve();
        }
      });
      for (let stream = 0; stream < numStreams; stream++) next(String(stream), 0);
    });
    const seconds = (performance.now() - start) / 1000;
    const numBytes = socket?.bytesRead ?? 0;
    ws.terminate();
    return { numEvents, numBytes, seconds };
  };

const CARRIERS: readonly (readonly [name: string, measure: (load: Load) => Promise<Measurement>])[] = [
  ['SSE', overSse],
  ['WebSocket, JSON', overSocket(jsonCodec)],
  ['WebSocket, MessagePack', overSocket(msgpackCodec({ Packr, Unpackr }))],
];

/** One line for each carrier: the same load over each in turn, so many times. */
const compare = async (load: Load, numRounds: number): Promise<Result[]> => {
  const rounds: Measurement[][] = CARRIERS.map(() => []);
  for (let round = 0; round < numRounds; round++) {
    for (const [index, [, measure]] of CARRIERS.entries()) rounds[index]?.push(await measure(load));
  }
  const { numStreams, numAnswers, numTokens } = load;
  return CARRIERS.map(([name], index) => {
    const measured = rounds[index] ?? [];
    const speeds = measured.map(({ numEvents, seconds }) => numEvents / seconds);
    const bytes = measured.map(({ numBytes }) => numBytes / (numStreams * numAnswers * numTokens));
    const range = `${Math.min(...speeds).toFixed(0)} to ${Math.max(...speeds).toFixed(0)}`;
    const figures = `${percentile(speeds, 0.5).toFixed(0)} events/s (p50 of ${numRounds} rounds, ${range}), ${percentile(bytes, 0.5).toFixed(1)} bytes a token`;
    console.log(`${String(numStreams).padStart(3)} streams  ${name.padEnd(22)}  ${figures}`);
    return { what: `${name}; ${numStreams} streams of ${numAnswers} answers, ${numTokens} tokens each`, figures };
  });
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string', default: '1,16,64' },
      tokens: { type: 'string', default: '256' },
      answers: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      record: { type: 'boolean', default: false },
    },
  });
  const numTokens = Number(values.tokens);
  const tokens = Array.from({ length: numTokens }, (_, index) => WORDS[index % WORDS.length] ?? '');
  const folder = mkdtempSync(join(tmpdir(), 'firstlight-bench-'));
  const script = join(folder, 'scripted.json');
  writeFileSync(script, JSON.stringify({ contextLength: numTokens + 1024, replies: [{ tokens }] }));
  const target = await startServer(['--model', `scripted:${script}`]);
  const results: Result[] = [];
  try {
    const load = { target, numAnswers: Number(values.answers), numTokens, text: tokens.join('') };
    await overSse({ ...load, numStreams: 1 }); // To warm up.
    for (const numStreams of values.streams.split(',').map(Number)) {
      results.push(...(await compare({ ...load, numStreams }, Number(values.rounds))));
    }
  } finally {
    await target.close();
    rmSync(folder, { recursive: true });
  }
  if (values.record) {
    const command = `npx tsx bench/sockets.ts ${process.argv.slice(2).join(' ')}`.trim();
    recordResults('WebSocket against SSE', results, 'scripted model, Chat Completions', command);
  }
};

await main();
