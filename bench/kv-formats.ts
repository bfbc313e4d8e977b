/**
 * What each format of the KV cache costs in quality, against F32, and how much context it holds:
 *
 *     npx tsx bench/kv-formats.ts [--formats f16,q8,q4] [--data ../shared] [--long 2] [--short 40] [--stories 8]
 *         [--only TEXT] [--record]
 *
 * Perplexity is taken on what a model was trained for. The embedded model reads conversations held out of its training
 * (models/embedded/tokens.py, which needs python3): "answers" are the tokens that its training teaches, among the others are
 * random names and words. stories260K reads stories that it wrote itself at temperature 1 with F32 KV: there, what the
 * logarithm of the perplexity gains is the divergence from F32 KV. The reference models have random weights, and only NMSE.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KV_FORMATS, type KvFormat } from '../src/kernels/kv-format.ts';
import { EMBEDDED_MODEL_PATH } from '../src/runtime/config.ts';
import type { LoadOptions } from '../src/runtime/create-engine-options.ts';
import { PrivateBlocks } from '../src/runtime/kv/private-blocks.ts';
import { type LoadedModel, loadModel } from '../src/runtime/load-model.ts';
import { sequenceLogits } from '../src/runtime/logits.ts';
import { DEFAULT_SAMPLING } from '../src/runtime/sampling.ts';
import { sampleRow } from '../src/workers/sampler.ts';
import { argmaxOf, readOracle } from '../test/support/oracle.ts';
import { recordResults } from './report.ts';

/** Token ids, and which of them are scored a second time by themselves. */
interface Text {
  readonly ids: readonly number[];
  readonly learn?: readonly boolean[];
}

/** Sums over all texts. */
interface Score {
  loss: number;
  numTokens: number;
  answerLoss: number;
  numAnswerTokens: number;
  squaredError: number;
  squares: number;
  sameTop1: number;
}

const GIB = 2 ** 30;
const CHUNK = 256;
/** Their own would take a GiB of cache each. */
const REFERENCE_CONTEXT = 256;

type Sizes = Pick<LoadOptions, 'maxSequences' | 'contextLength'>;

const open = (path: string, kvFormat: KvFormat, sizes: Sizes = {}): Promise<LoadedModel> =>
  loadModel(path, {
    activations: 'f32',
    kvFormat,
    maxBatchTokens: CHUNK,
    maxSequences: 1,
    maxRows: CHUNK,
    ...sizes,
  });

const conversations = (long: string, short: string): Text[] =>
  execFileSync('python3', [fileURLToPath(new URL('../models/embedded/tokens.py', import.meta.url)), long, short])
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Text);

/** What the model writes after its BOS at temperature 1, side by side. */
const ownTexts = async (path: string, count: number): Promise<Text[]> => {
  const { runner, description, tokenizer } = await open(path, 'f32', { maxSequences: count });
  const { contextLength, vocabularySize } = description;
  const bos = tokenizer && 'bosTokenId' in tokenizer ? (tokenizer.bosTokenId ?? 1) : 1;
  const blocks = new PrivateBlocks(runner, contextLength, count);
  const texts = Array.from({ length: count }, () => [bos]);
  for (let start = 0; start < contextLength - 1; start++) {
    const queries = texts.map((ids, sequence) => ({ sequence, start, tokenIds: ids.slice(start) }));
    const step = await runner.forward(blocks.batch(queries, 'last'));
    const logits = await step.readLogits(texts.map((_, row) => row));
    for (const [row, ids] of texts.entries()) {
      const values = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      ids.push(sampleRow(values, { ...DEFAULT_SAMPLING, temperature: 1 }, row, start));
    }
  }
  await runner.close();
  return texts.map((ids) => ({ ids }));
};

const negativeLogProbability = (row: Float32Array, id: number): number => {
  let maximum = Number.NEGATIVE_INFINITY;
  for (const logit of row) maximum = Math.max(maximum, logit);
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - maximum);
  return maximum + Math.log(sum) - row[id]!;
};

/** Adds one text, whose logits are held against those of F32 KV. */
const addText = (score: Score, { ids, learn }: Text, logits: Float32Array, exact: Float32Array): void => {
  const width = logits.length / ids.length;
  for (let i = 0; i < logits.length; i++) {
    score.squaredError += (logits[i]! - exact[i]!) ** 2;
    score.squares += exact[i]! ** 2;
  }
  for (let position = 0; position + 1 < ids.length; position++) {
    const row = logits.subarray(position * width, (position + 1) * width);
    const loss = negativeLogProbability(row, ids[position + 1]!);
    score.loss += loss;
    score.numTokens++;
    if (argmaxOf(row) === argmaxOf(exact.subarray(position * width, (position + 1) * width))) score.sameTop1++;
    if (!learn?.[position + 1]) continue;
    score.answerLoss += loss;
    score.numAnswerTokens++;
  }
};

interface Measured {
  readonly format: KvFormat;
  readonly score: Score;
  readonly tokenBytes: number;
  readonly adapter: string;
}

/** F32 first, then `formats`. */
const measure = async (
  path: string,
  texts: readonly Text[],
  formats: readonly KvFormat[],
  sizes: Sizes = {},
): Promise<Measured[]> => {
  const exact: Float32Array[] = [];
  const results: Measured[] = [];
  for (const format of ['f32', ...formats] as const) {
    const { runner, description, adapter } = await open(path, format, sizes);
    const score = {
      loss: 0,
      numTokens: 0,
      answerLoss: 0,
      numAnswerTokens: 0,
      squaredError: 0,
      squares: 0,
      sameTop1: 0,
    };
    for (const [i, { ids, ...text }] of texts.entries()) {
      const seen = ids.slice(0, description.contextLength);
      const { logits } = await sequenceLogits(runner, seen, CHUNK, description.vocabularySize);
      exact[i] ??= logits;
      addText(score, { ids: seen, ...text }, logits, exact[i]);
    }
    const { blockBytes, blockSize, groups } = runner.kv;
    results.push({ format, score, tokenBytes: (groups.length * blockBytes) / blockSize, adapter });
    await runner.close();
  }
  return results;
};

const nmseOf = ({ squaredError, squares }: Score): string => (squaredError / squares).toExponential(1);

/** Perplexity and how it changed. */
const perplexity = (loss: number, exactLoss: number, count: number): string => {
  const change = 100 * Math.expm1((loss - exactLoss) / count);
  return `${Math.exp(loss / count).toFixed(4)} (${change < 0 ? '' : '+'}${change.toFixed(3)} %)`;
};

const figuresOf = ({ score, tokenBytes }: Measured, exact: Score): string => {
  const { loss, numTokens, answerLoss, numAnswerTokens, sameTop1 } = score;
  const answers =
    numAnswerTokens > 0
      ? [`answers ${perplexity(answerLoss, exact.answerLoss, numAnswerTokens)} over ${numAnswerTokens}`]
      : [];
  return [
    `perplexity ${perplexity(loss, exact.loss, numTokens)} over ${numTokens} tokens`,
    ...answers,
    `NMSE ${nmseOf(score)}`,
    `same best token at ${((100 * sameTop1) / numTokens).toFixed(2)} %`,
    `${tokenBytes} bytes a token, ${Math.floor(GIB / tokenBytes).toLocaleString('en')} tokens a GiB`,
  ].join('; ');
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      formats: { type: 'string', default: 'f16,q8,q4' },
      data: { type: 'string', default: '../shared' },
      long: { type: 'string', default: '2' },
      short: { type: 'string', default: '40' },
      stories: { type: 'string', default: '8' },
      only: { type: 'string', default: '' },
      record: { type: 'boolean', default: false },
    },
  });
  const names = values.formats.split(',');
  const formats = KV_FORMATS.filter((format) => names.includes(format) && format !== 'f32');
  const command = `npx tsx bench/kv-formats.ts ${process.argv.slice(2).join(' ')}`;
  const report = (rows: readonly { what: string; figures: string }[], adapter: string): void => {
    for (const { what, figures } of rows) console.log(`${what}: ${figures}`);
    if (values.record) recordResults('Formats of the KV cache', rows, adapter, command);
  };
  const measureTexts = async (path: string, texts: readonly Text[]): Promise<void> => {
    const results = await measure(path, texts, formats);
    const rows = results.map((result) => ({
      what: `${basename(path)}, KV ${result.format}`,
      figures: figuresOf(result, results[0]!.score),
    }));
    report(rows, results[0]!.adapter);
  };
  const isWanted = (path: string) => existsSync(path) && basename(path).includes(values.only);
  if (isWanted(EMBEDDED_MODEL_PATH)) {
    await measureTexts(EMBEDDED_MODEL_PATH, conversations(values.long, values.short));
  }
  const stories = join(values.data, 'models/stories260K.gguf');
  if (isWanted(stories)) await measureTexts(stories, await ownTexts(stories, Number(values.stories)));
  const oracles = join(values.data, 'oracles');
  for (const name of existsSync(oracles) ? readdirSync(oracles).sort() : []) {
    const logits = join(oracles, name.replace(/\.gguf$/, '.logits'));
    if (!name.endsWith('.gguf') || !existsSync(logits) || !name.includes(values.only)) continue;
    const results = await measure(join(oracles, name), [readOracle(logits)], formats, {
      contextLength: REFERENCE_CONTEXT,
    });
    const figures = results.slice(1).map(({ format, score }) => `${format} ${nmseOf(score)}`);
    report([{ what: `${name} (random weights), NMSE`, figures: figures.join(', ') }], results[0]!.adapter);
  }
};

await main();
