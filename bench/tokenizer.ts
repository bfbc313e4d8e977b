/**
 * Measures a vocabulary's encoder on one thread: MB/s of UTF-8 on English, on code and on text without spaces, each with a
 * new tokenizer (cold: no word is known) and once more (warm), how time grows when the text is doubled, and what a long
 * prompt gains from the pool's threads.
 *
 *     npx tsx bench/tokenizer.ts [--vocabulary GGUF_FILE] [--megabytes 2] [--record]
 *
 * `--vocabulary` may also be a folder with a tokenizer.json.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openGguf } from '../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../src/runtime/weights/gguf-tokenizer.ts';
import { readTokenizerJson } from '../src/runtime/weights/tokenizer-json.ts';
import { createWorkerPool } from '../src/workers/pool.ts';
import type { TokenizerDefinition } from '../src/workers/tokenizer/definition.ts';
import { createTokenizer } from '../src/workers/tokenizer/tokenizer.ts';
import { type Result, recordResults } from './report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Text of the installed packages whose names match, largest files first, up to a size. */
const packageText = (pattern: RegExp, numBytes: number): string => {
  const files = readdirSync(join(root, 'node_modules'), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => join(root, 'node_modules', name))
    .map((path) => ({ path, size: statSync(path).size }))
    .sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
  const texts = new Set<string>();
  let length = 0;
  for (const { path } of files) {
    if (length >= numBytes) break;
    const text = readFileSync(path, 'utf8');
    if (texts.has(text)) continue;
    texts.add(text);
    length += Buffer.byteLength(text);
  }
  return [...texts].join('\n').slice(0, numBytes);
};

/** Letters in an order without a period, the same on every machine. */
const letters = (count: number): string => {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 'etaoinshrdlucmfwypvbgkqjxz'[(state >>> 16) % 26]!;
  }).join('');
};

const measureMs = (work: () => unknown): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

const measure = (what: string, text: string, definition: TokenizerDefinition): Result => {
  const megabytes = Buffer.byteLength(text) / 1e6;
  const tokenizer = createTokenizer(definition);
  let numTokens = 0;
  const encode = (part: string) => {
    numTokens = tokenizer.encode(part, { parseSpecial: false }).length;
  };
  const coldMs = measureMs(() => encode(text));
  const warmMs = measureMs(() => encode(text));
  // Once the code is compiled, with new tokenizers, half the text and all of it.
  const [halfMs, wholeMs] = [text.slice(0, text.length / 2), text].map((part) => {
    const fresh = createTokenizer(definition);
    return measureMs(() => fresh.encode(part, { parseSpecial: false }));
  }) as [number, number];
  const speed = (ms: number): string => (megabytes / (ms / 1000)).toFixed(1);
  return {
    what: `${what}, ${megabytes.toFixed(2)} MB, ${numTokens} tokens`,
    figures: `cold ${speed(coldMs)} MB/s, warm ${speed(warmMs)} MB/s; twice the text takes ${(wholeMs / halfMs).toFixed(1)} times as long`,
  };
};

const readDefinition = async (path: string): Promise<TokenizerDefinition | undefined> => {
  if (statSync(path).isDirectory()) return readTokenizerJson(path);
  const file = await openGguf(path);
  const definition = ggufTokenizer(file);
  await file.close();
  return definition;
};

const PROMPTS = 10;

/** The least time of a prompt that the pool prepares; its threads have had one before. */
const poolMs = async (text: string, definition: TokenizerDefinition, numThreads: number): Promise<number> => {
  const pool = await createWorkerPool({ definition, numThreads });
  const prompt = { kind: 'text', text } as const;
  await Promise.all(Array.from({ length: 4 * numThreads }, () => pool.prepare(prompt)));
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < PROMPTS; run++) {
    const start = performance.now();
    await pool.prepare(prompt);
    least = Math.min(least, performance.now() - start);
  }
  await pool.close();
  return least;
};

const { values } = parseArgs({
  options: {
    vocabulary: { type: 'string', default: join(root, '../shared/tokenizers/llama-bpe.gguf') },
    megabytes: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});
const definition = await readDefinition(values.vocabulary);
if (!definition) throw new Error(`${values.vocabulary}: no tokenizer`);

const numBytes = Number(values.megabytes) * 1e6;
const name = basename(values.vocabulary);
const loadMs = measureMs(() => createTokenizer(definition));
const results: Result[] = [{ what: `${name}: making the tokenizer`, figures: `${loadMs.toFixed(0)} ms` }];
for (const [kind, text] of [
  ['English', packageText(/\.md$/i, numBytes)],
  ['code', packageText(/\.d\.ts$/, numBytes)],
  ['no spaces', letters(numBytes)],
] as const) {
  results.push(measure(`${name}: ${kind}`, text, definition));
}
const numThreads = Math.min(4, availableParallelism());
for (const length of [400_000, numBytes]) {
  const prompt = packageText(/\.md$/i, length);
  const [oneMs, allMs] = [await poolMs(prompt, definition, 1), await poolMs(prompt, definition, numThreads)];
  results.push({
    what: `${name}: a prompt of ${prompt.length} characters through the pool, warm`,
    figures: `${oneMs.toFixed(0)} ms on 1 thread, ${allMs.toFixed(0)} ms on ${numThreads}: ${(oneMs / allMs).toFixed(2)} times as fast`,
  });
}
for (const { what, figures } of results) console.log(`${what}: ${figures}`);
if (values.record)
  recordResults(
    'Tokenizer',
    results,
    'one thread',
    `npx tsx ${process.argv
      .slice(1)
      .map((part) => part.replace(root, ''))
      .join(' ')}`,
  );
