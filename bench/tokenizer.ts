/**
 * Measures a vocabulary's encoder on one thread: MB/s of UTF-8 on English, on code and on text without spaces, each with a
 * new tokenizer (cold: no word is known) and once more (warm), and how time grows when the text is doubled.
 *
 *     npx tsx bench/tokenizer.ts [--vocabulary GGUF_FILE] [--megabytes 2] [--record]
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openGguf } from '../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../src/runtime/weights/gguf-tokenizer.ts';
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
  const half = createTokenizer(definition);
  const halfMs = measureMs(() => half.encode(text.slice(0, text.length / 2), { parseSpecial: false }));
  const speed = (ms: number): string => (megabytes / (ms / 1000)).toFixed(1);
  return {
    what: `${what}, ${megabytes.toFixed(2)} MB, ${numTokens} tokens`,
    figures: `cold ${speed(coldMs)} MB/s, warm ${speed(warmMs)} MB/s; twice the text takes ${(coldMs / halfMs).toFixed(1)} times as long`,
  };
};

const { values } = parseArgs({
  options: {
    vocabulary: { type: 'string', default: join(root, '../shared/tokenizers/llama-bpe.gguf') },
    megabytes: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});
const file = await openGguf(values.vocabulary);
const definition = ggufTokenizer(file);
await file.close();
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
