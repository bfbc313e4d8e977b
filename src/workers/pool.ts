/**
 * The typed door to the threads that do what costs CPU time. Prompts and steps have threads of their own: a prompt of
 * megabytes must not hold up running streams. No task ever gets an AbortSignal, since aborting one kills its thread.
 */
import { Piscina } from 'piscina';
import type { ChatPrompt, Prompt, TokenPiece } from '../runtime/api.ts';
import { flushPending } from './detokenizer.ts';
import type { Allowed, AllowedTokens } from './grammar/answer-format.ts';
import { GrammarThreads } from './grammar-threads.ts';
import type { RowResult, SampleRow } from './next-token.ts';
import type { PreparedPrompt } from './prepare.ts';
import { runTask, type ThreadSetup, unwrap } from './task.ts';
import { threadEntry } from './thread-entry.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';
import { joinTokens } from './tokenizer/token-buffer.ts';
import type { OpenGrammar } from './worker.ts';

export type { Allowed, AllowedTokens, AnswerFormat } from './grammar/answer-format.ts';
export type { NextToken, RowResult, SampleRow } from './next-token.ts';
export type { PreparedPrompt } from './prepare.ts';

export interface WorkerPoolOptions {
  readonly definition: TokenizerDefinition;
  /** Most threads for prompts, and as many again for steps. */
  readonly numThreads: number;
  /** Length of a row of logits where it is more than the tokenizer's tokens (padding). */
  readonly vocabularySize?: number;
  /** A prompt thread that needs more is ended and its prompt refused: chat templates are not trusted. */
  readonly promptHeapMebibytes?: number;
  /** Texts of control tokens that formats of answers are made of. */
  readonly markers?: readonly string[];
}

/** Rows worth a thread of their own: below this a second round trip costs more than it saves. */
const SHARD_COST = 16;
const WHOLE_ROW_COST = 8;
const PROMPT_IDLE_MS = 60_000;
const DEFAULT_HEAP_MEBIBYTES = 2048;

/**
 * Starts the threads and waits until they know the tokenizer.
 * @throws EngineError model_unsupported, model_file_invalid when the definition has what no tokenizer here reads
 */
export const createWorkerPool = async (options: WorkerPoolOptions): Promise<WorkerPool> => {
  const pool = new WorkerPool(options);
  try {
    await pool.warm();
  } catch (error) {
    await pool.close();
    throw error;
  }
  return pool;
};

export class WorkerPool {
  readonly #numThreads: number;
  readonly #promptThreads: Piscina;
  readonly #stepThreads: Piscina;
  readonly #grammarThreads: GrammarThreads;

  constructor(options: WorkerPoolOptions) {
    const { definition, numThreads, vocabularySize = 0, promptHeapMebibytes = DEFAULT_HEAP_MEBIBYTES } = options;
    const { url, execArgv } = threadEntry(import.meta.url, './worker');
    const setup: ThreadSetup = {
      definition,
      vocabularySize: Math.max(vocabularySize, numTokensOf(definition)),
      markers: options.markers ?? [],
    };
    const shared = { filename: url.href, execArgv, maxThreads: numThreads, concurrentTasksPerWorker: 1 };
    this.#numThreads = numThreads;
    this.#promptThreads = new Piscina({
      ...shared,
      workerData: setup,
      minThreads: 1,
      idleTimeout: PROMPT_IDLE_MS,
      resourceLimits: { maxOldGenerationSizeMb: promptHeapMebibytes },
    });
    // Steps need no merges and no template: half of what a thread would keep.
    const stepSetup = { ...setup, definition: forSteps(definition) };
    this.#stepThreads = new Piscina({ ...shared, workerData: stepSetup, minThreads: numThreads });
    this.#grammarThreads = new GrammarThreads(() =>
      quiet(new Piscina({ ...shared, workerData: setup, minThreads: 1, maxThreads: 1 })),
    );
    quiet(this.#promptThreads);
    quiet(this.#stepThreads);
  }

  /** Renders the chat template and tokenizes, long prompts on several threads. @throws EngineError invalid_request, model_unsupported, internal */
  async prepare(prompt: Prompt): Promise<PreparedPrompt> {
    const { remaining, ...prepared } = unwrap(await runTask<PreparedPrompt>(this.#promptThreads, 'prepare', prompt));
    if (remaining === undefined) return prepared;
    const encoded = remaining.map((part) => runTask<Uint32Array>(this.#promptThreads, 'encodePart', part));
    const tokenIds = joinTokens([prepared.tokenIds, ...(await Promise.all(encoded)).map((result) => unwrap(result))]);
    return { ...prepared, tokenIds };
  }

  /**
   * The next token of every row, in order: one round trip. The buffers of whole rows of logits are handed over.
   * @throws EngineError internal
   */
  async nextTokens(rows: readonly SampleRow[]): Promise<RowResult[]> {
    if (rows.length === 0) return [];
    const results = await Promise.all(shard(rows, this.#numThreads).map((part) => this.#nextTokens(part)));
    return results.flat();
  }

  /**
   * Begins to follow an answer through the grammar of its format, until `closeGrammar`.
   * @throws EngineError invalid_request: the format cannot be compiled, or takes too long
   */
  openGrammar(opening: OpenGrammar): Promise<Allowed> {
    return this.#grammarThreads.open(opening);
  }

  /** What may follow the tokens that were chosen. @throws EngineError internal */
  advanceGrammar(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    return this.#grammarThreads.advance(id, tokenIds);
  }

  /** Which of these tokens may come next. @throws EngineError internal */
  allowedAmong(id: number, tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>> {
    return this.#grammarThreads.among(id, tokenIds);
  }

  /** Which of all tokens may come next, however long it takes to work out. @throws EngineError internal */
  allowedTokens(id: number): Promise<AllowedTokens> {
    return this.#grammarThreads.tokens(id);
  }

  closeGrammar(id: number): void {
    this.#grammarThreads.close(id);
  }

  /** The text of bytes that no others will follow: what `pending` of a sequence's last token was. */
  async flush(pending: Uint8Array): Promise<string> {
    return flushPending(pending);
  }

  /** The text that `prepare` would tokenize. @throws as `prepare` */
  async render(prompt: ChatPrompt): Promise<string> {
    return unwrap(await runTask<string>(this.#promptThreads, 'render', prompt));
  }

  /** The text of each token. @throws EngineError internal */
  async pieces(tokenIds: ArrayLike<number>): Promise<readonly TokenPiece[]> {
    return tokenIds.length === 0 ? [] : unwrap(await runTask<TokenPiece[]>(this.#promptThreads, 'pieces', tokenIds));
  }

  /** The tokens of a text in which special tokens count, without BOS. @throws EngineError internal */
  async encode(text: string): Promise<Uint32Array> {
    return unwrap(await runTask<Uint32Array>(this.#promptThreads, 'encode', text));
  }

  /** The text of whole tokens. @throws EngineError internal */
  async decode(tokenIds: readonly number[]): Promise<string> {
    return tokenIds.length === 0 ? '' : unwrap(await runTask<string>(this.#promptThreads, 'decode', tokenIds));
  }

  /** Has one thread of each kind load the tokenizer. @throws as `createWorkerPool` */
  async warm(): Promise<void> {
    const loads = [
      runTask<unknown>(this.#promptThreads, 'prepare', null),
      runTask<unknown>(this.#stepThreads, 'nextTokens', []),
    ];
    for (const result of await Promise.all(loads)) unwrap(result);
  }

  /** Ends the threads; tasks in flight fail. */
  async close(): Promise<void> {
    await Promise.all([this.#promptThreads.destroy(), this.#stepThreads.destroy(), this.#grammarThreads.destroy()]);
  }

  async #nextTokens(rows: readonly SampleRow[]): Promise<RowResult[]> {
    const transferList = rows.flatMap(({ source }) => {
      const buffer = source.kind === 'logits' ? source.logits.buffer : undefined;
      return buffer instanceof ArrayBuffer && buffer.byteLength === bytesOf(source) ? [buffer] : [];
    });
    return unwrap(await runTask<RowResult[]>(this.#stepThreads, 'nextTokens', rows, transferList));
  }
}

/** A dying thread fails its task, which the caller hears of; Piscina says it a second time. */
const quiet = (threads: Piscina): Piscina => threads.on('error', () => {});

/** Contiguous parts of about equal cost. */
const shard = (rows: readonly SampleRow[], maxParts: number): SampleRow[][] => {
  const costs = rows.map(({ source }) => (source.kind === 'logits' ? WHOLE_ROW_COST : 1));
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const numParts = Math.min(maxParts, Math.ceil(total / SHARD_COST));
  const parts: SampleRow[][] = Array.from({ length: numParts }, () => []);
  let spent = 0;
  for (const [index, row] of rows.entries()) {
    parts[Math.min(numParts - 1, Math.floor((spent / total) * numParts))]!.push(row);
    spent += costs[index]!;
  }
  return parts.filter((part) => part.length > 0);
};

const bytesOf = (source: SampleRow['source']): number => (source.kind === 'logits' ? source.logits.byteLength : 0);

const numTokensOf = (definition: TokenizerDefinition): number =>
  definition.model === 'bytes' ? 256 + definition.extraTokens.length : definition.tokens.length;

const forSteps = (definition: TokenizerDefinition): TokenizerDefinition => {
  if (definition.model === 'bytes') return definition;
  const { merges: _, scores: __, chatTemplate: ___, ...rest } = definition;
  return rest;
};
