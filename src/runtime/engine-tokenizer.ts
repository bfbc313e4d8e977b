/** What stands between text and token ids, asked for by itself. */
import type { WorkerPool } from '../workers/pool.ts';
import type { ChatPrompt, Prompt, Tokenization, TokenPiece } from './api.ts';
import { withEnd } from './embedding-input.ts';
import type { Preparation } from './preparation.ts';
import { checkTokenIds } from './request-limits.ts';

export class EngineTokenizer implements Tokenization {
  readonly #preparation: Preparation;
  readonly #workers: Pick<WorkerPool, 'render' | 'decode' | 'pieces'>;
  readonly #vocabularySize: number;
  readonly #endTokenId: number | undefined;

  /** @param endTokenId goes behind texts, where a model reads them so */
  constructor(
    preparation: Preparation,
    workers: Pick<WorkerPool, 'render' | 'decode' | 'pieces'>,
    vocabularySize: number,
    endTokenId?: number,
  ) {
    this.#preparation = preparation;
    this.#workers = workers;
    this.#vocabularySize = vocabularySize;
    this.#endTokenId = endTokenId;
  }

  async tokenize(prompt: Prompt): Promise<Uint32Array> {
    if (prompt.kind === 'tokens') checkTokenIds(prompt.tokenIds, this.#vocabularySize, 'prompt');
    return withEnd((await this.#preparation.tokenize(prompt)).tokenIds, prompt, this.#endTokenId);
  }

  detokenize(tokenIds: readonly number[]): Promise<string> {
    return this.#ask(tokenIds, () => this.#workers.decode(tokenIds));
  }

  pieces(tokenIds: ArrayLike<number>): Promise<readonly TokenPiece[]> {
    return this.#ask(tokenIds, () => this.#workers.pieces(tokenIds));
  }

  renderPrompt(prompt: ChatPrompt): Promise<string> {
    return this.#ask([], () => this.#workers.render(prompt));
  }

  async #ask<Value>(tokenIds: ArrayLike<number>, work: () => Promise<Value>): Promise<Value> {
    checkTokenIds(tokenIds, this.#vocabularySize, 'tokens');
    return this.#preparation.whileOpen(work);
  }
}
