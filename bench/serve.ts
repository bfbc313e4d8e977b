/**
 * Measures a real server over HTTP: total tok/s, time to first token and inter-token latency at 1 and 16 streams, and
 * memory before and after many requests. Tokens are counted by the server's usage; every status and every text is
 * checked, and a prompt must get the same greedy text alone and in a crowd.
 *
 *     npx tsx bench/serve.ts [--model PATH] [--streams 1,16] [--max-tokens 96] [--requests 1000] [--record]
 */
import { parseArgs } from 'node:util';
import { percentile } from '../src/cli/measure-model.ts';
import { type Answer, ask, metric, readMetrics, startServer, type Target } from './http-target.ts';
import { recordResults } from './report.ts';

const SUBJECTS = ['a fox', 'a lamp', 'two boats', 'a bear', 'the moon', 'a small bird', 'a red car', 'an old tree'];
const promptOf = (index: number): string =>
  `Tell me a story about ${SUBJECTS[index % SUBJECTS.length]}${index < SUBJECTS.length ? '' : ` and the number ${index}`}.`;

interface Story extends Answer {
  readonly prompt: string;
}

const tell = async (target: Target, prompt: string, maxTokens: number): Promise<Story> => ({
  prompt,
  ...(await ask(target, { messages: [{ role: 'user', content: prompt }] }, maxTokens)),
});

/** Keeps `streams` requests running until `requests` are answered. */
const crowd = async (
  target: Target,
  streams: number,
  requests: number,
  maxTokens: number,
): Promise<{ answers: Story[]; seconds: number }> => {
  const answers: Story[] = [];
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: streams }, async () => {
      while (next < requests) answers.push(await tell(target, promptOf(next++ % 64), maxTokens));
    }),
  );
  return { answers, seconds: (performance.now() - start) / 1000 };
};

/** @throws Error when a prompt got two texts */
const checkTexts = (answers: readonly Story[], known: Map<string, string>): void => {
  for (const { prompt, text } of answers) {
    const before = known.get(prompt) ?? text;
    known.set(prompt, before);
    if (before !== text) throw new Error(`'${prompt}' was answered\n${before}\nand later\n${text}`);
  }
};

const residentMib = async (target: Target): Promise<number> =>
  metric(await readMetrics(target), 'process_resident_memory_bytes') / 1024 ** 2;

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
    await tell(target, promptOf(0), 2); // Kernels that compile on first use do it here.
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
