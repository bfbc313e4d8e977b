/** Takes the place of the forward pass alone: "computes" logits whose best token is the next one of a script. */
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from './errors.ts';
import type { Batch, KvGeometry, ModelRunner, StepLimits, StepLogits } from './model-runner.ts';
import { scriptedSums } from './scripted-embedding.ts';
import type { Script, ScriptedReply } from './scripted-model.ts';
import { END_OF_SEQUENCE, FIRST_SCRIPT_TOKEN, ROLE_TOKENS } from './scripted-vocabulary.ts';

export interface ScriptedRunnerOptions {
  readonly blockSize: number;
  readonly numBlocks: number;
  readonly limits: StepLimits;
  /** Awaited before token `index` (from 0; the end counts as one) of a reply is given: lets tests withhold it. */
  readonly beforeToken?: (sequenceId: number, index: number) => Promise<void>;
}

/** The scripted token's logit is 0. All others lie so far below that no temperature, penalty or bias lifts them. */
const OTHER_LOGIT = -1e4;
/** What closes is better than the others by so much, strings first: where a grammar forbids the script's token, the answer still ends. */
const CLOSING_BONUS: readonly (readonly [tokenId: number, bonus: number])[] = [
  [END_OF_SEQUENCE, 400],
  ...[...'"}]'].map((character, rank) => [character.charCodeAt(0), 300 - 100 * rank] as const),
];
const MAX_CANDIDATES = 64;
const UNWRITTEN = 0xffffffff;

/** A reply in progress; it outlives preemption. */
interface Recital {
  readonly reply: ScriptedReply;
  readonly numPromptTokens: number;
  /** Tokens of the answer that are the script's own, from the beginning. */
  numAgreed: number;
}

/**
 * Its KV cache is real: `forward` writes each fed token's id into its slot, and finds the input it answers by reading
 * the sequence back through its block table.
 */
export class ScriptedRunner implements ModelRunner {
  readonly kv: KvGeometry;
  readonly limits: StepLimits;
  readonly maxCandidates: number;
  readonly #script: Script;
  readonly #beforeToken: ScriptedRunnerOptions['beforeToken'];
  /** [numBlocks * blockSize] */
  readonly #cache: Uint32Array;
  readonly #uses: number[];
  readonly #recitals = new Map<number, Recital>();
  readonly #prefillMsPerToken = new Map<number, number>();
  /** Sequences of the step in progress that nobody has released. */
  #audience = new Set<number>();
  #stopWaiting = new AbortController();

  constructor(script: Script, { blockSize, numBlocks, limits, beforeToken }: ScriptedRunnerOptions) {
    this.#script = script;
    this.#beforeToken = beforeToken;
    this.kv = { blockSize, numBlocks, blockBytes: blockSize * Uint32Array.BYTES_PER_ELEMENT, groups: [{}] };
    this.limits = limits;
    this.maxCandidates = Math.min(MAX_CANDIDATES, script.vocabulary.length);
    this.#cache = new Uint32Array(numBlocks * blockSize).fill(UNWRITTEN);
    this.#uses = script.replies.map(() => 0);
  }

  get kvTransferMs(): number {
    return 0;
  }

  get maxBlocksMoved(): number {
    return this.kv.numBlocks;
  }

  async readBlocks(blocks: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    const { blockSize } = this.kv;
    return blocks.map((block) => new Uint8Array(this.#cache.slice(block * blockSize, (block + 1) * blockSize).buffer));
  }

  async writeBlocks(
    blocks: readonly number[],
    payloads: readonly Uint8Array[],
    isWanted: () => boolean = () => true,
  ): Promise<boolean> {
    if (!isWanted()) return false;
    const bytes = new Uint8Array(this.#cache.buffer);
    for (const [index, block] of blocks.entries()) bytes.set(payloads[index]!, block * this.kv.blockBytes);
    return true;
  }

  get gpuBytes(): number {
    return 0;
  }

  /** Only the pace of the prefill is taken from here; the answer itself comes from what the KV cache holds. */
  begin(sequenceId: number, promptTokenIds: Uint32Array): void {
    const rule = this.#match(this.#text(lastInput(promptTokenIds)));
    this.#prefillMsPerToken.set(sequenceId, this.#script.replies[rule]?.prefillMsPerToken ?? 0);
  }

  async forward(batch: Batch): Promise<StepLogits> {
    const { blockSize } = this.kv;
    for (const { from, to } of batch.copies) {
      this.#cache.copyWithin(to * blockSize, from * blockSize, (from + 1) * blockSize);
    }
    const { slots } = batch.groups[0]!;
    for (let index = 0; index < batch.numTokens; index++) this.#cache[slots[index]!] = batch.tokenIds[index]!;
    let delayMs = this.#prefillMs(batch);
    const tokens = new Uint32Array(batch.logitTokens.length);
    const failures = new Map<number, EngineError>();
    const endings = new Set<number>();
    const gates: (Promise<void> | undefined)[] = [];
    let sequence = 0;
    for (const [row, token] of batch.logitTokens.entries()) {
      while (batch.queryStarts[sequence + 1]! <= token) sequence++;
      const said = this.#say(batch, sequence);
      if (said instanceof EngineError) failures.set(row, said);
      else if (said === 'ended') endings.add(row);
      else {
        tokens[row] = said.tokenId;
        delayMs = Math.max(delayMs, said.delayMs);
        gates.push(this.#beforeToken?.(batch.sequenceIds[sequence]!, said.index));
      }
    }
    await this.#perform(batch.sequenceIds, delayMs, gates);
    const pooled = batch.segments ? { pooled: scriptedSums(batch.tokenIds, batch.segments) } : {};
    return { ...this.#logits(tokens, batch.numCandidates), ...pooled, failures, endings };
  }

  release(sequenceId: number): void {
    this.#recitals.delete(sequenceId);
    this.#prefillMsPerToken.delete(sequenceId);
    if (this.#audience.delete(sequenceId) && this.#audience.size === 0) this.#stopWaiting.abort();
  }

  async close(): Promise<void> {
    this.#recitals.clear();
  }

  /** Takes the step's time, unless everybody leaves before. */
  async #perform(
    sequenceIds: readonly number[],
    delayMs: number,
    gates: readonly (Promise<void> | undefined)[],
  ): Promise<void> {
    this.#audience = new Set(sequenceIds);
    this.#stopWaiting = new AbortController();
    const { signal } = this.#stopWaiting;
    const everybodyLeft = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    // Even without a delay, let messages and aborts in between steps, as a device would.
    const delay = delayMs > 0 ? sleep(delayMs, undefined, { signal }).catch(ignoreAbort) : nextTick();
    await Promise.race([Promise.all([delay, ...gates]), everybodyLeft]);
  }

  #prefillMs(batch: Batch): number {
    let sumMs = 0;
    for (const [sequence, id] of batch.sequenceIds.entries()) {
      const numTokens = batch.queryStarts[sequence + 1]! - batch.queryStarts[sequence]!;
      const isPrefill = numTokens > 1 || !this.#recitals.has(id);
      if (isPrefill) sumMs += numTokens * (this.#prefillMsPerToken.get(id) ?? 0);
    }
    return sumMs;
  }

  #say(batch: Batch, sequence: number): { tokenId: number; index: number; delayMs: number } | 'ended' | EngineError {
    const contextLength = batch.contextLengths[sequence]!;
    const recital = this.#recital(batch, sequence);
    if (recital instanceof EngineError) return recital;
    const { failAfterTokens, finish, interTokenMs } = recital.reply;
    const index = contextLength - recital.numPromptTokens;
    if (index === failAfterTokens) {
      return new EngineError('internal', `scripted:${this.#script.path}: failAfterTokens is ${failAfterTokens}`);
    }
    const tokenId = this.#next(recital, batch.groups[0]!.blockTables[sequence]!, index);
    if (tokenId !== undefined) return { tokenId, index, delayMs: index === 0 ? 0 : interTokenMs };
    return finish === 'length' ? 'ended' : { tokenId: END_OF_SEQUENCE, index, delayMs: 0 };
  }

  /** Where the answer was written in other tokens, as a grammar may force them, the script goes on behind its text. */
  #next(recital: Recital, blockTable: Uint32Array, numGenerated: number): number | undefined {
    const { reply, numPromptTokens } = recital;
    const { tokenIds } = reply;
    while (recital.numAgreed < numGenerated) {
      if (this.#tokenAt(blockTable, numPromptTokens + recital.numAgreed) !== tokenIds[recital.numAgreed]) break;
      recital.numAgreed++;
    }
    if (recital.numAgreed === numGenerated) return tokenIds[numGenerated];
    const generated = Array.from({ length: numGenerated }, (_, at) => this.#tokenAt(blockTable, numPromptTokens + at));
    const written = this.#bytes(generated);
    const script = this.#bytes(tokenIds);
    if (!script.subarray(0, written.length).equals(written)) return tokenIds[numGenerated];
    let length = 0;
    for (const tokenId of tokenIds) {
      if (length === written.length) return tokenId;
      length += this.#script.vocabulary[tokenId]?.length ?? 0;
      // Within a token: its next byte, which is a token too.
      if (length > written.length) return script[written.length];
    }
    return undefined;
  }

  #recital(batch: Batch, sequence: number): Recital | EngineError {
    const id = batch.sequenceIds[sequence]!;
    const known = this.#recitals.get(id);
    if (known) return known;
    const numPromptTokens = batch.contextLengths[sequence]!;
    const input = this.#text(lastInput(this.#readCache(batch.groups[0]!.blockTables[sequence]!, numPromptTokens)));
    const rule = this.#match(input);
    const reply = this.#script.replies[rule];
    if (reply === undefined) {
      return new EngineError(
        'invalid_request',
        `scripted:${this.#script.path}: no reply matches the last input (${input.length} characters), or those that do are used up; add one without "when" and "times"`,
      );
    }
    this.#uses[rule]!++;
    const recital = { reply, numPromptTokens, numAgreed: 0 };
    this.#recitals.set(id, recital);
    return recital;
  }

  /** The index of the first reply for this input, or −1. */
  #match(input: string): number {
    return this.#script.replies.findIndex(
      ({ when, times }, index) =>
        (times === undefined || this.#uses[index]! < times) && (when === undefined || when.test(input)),
    );
  }

  #readCache(blockTable: Uint32Array, length: number): Uint32Array {
    return Uint32Array.from({ length }, (_, position) => this.#tokenAt(blockTable, position));
  }

  #tokenAt(blockTable: Uint32Array, position: number): number {
    const { blockSize } = this.kv;
    const block = blockTable[Math.floor(position / blockSize)]!;
    return this.#cache[block * blockSize + (position % blockSize)]!;
  }

  #text(tokenIds: Uint32Array): string {
    return this.#bytes(tokenIds).toString('utf8');
  }

  #bytes(tokenIds: ArrayLike<number>): Buffer {
    return Buffer.concat(Array.from(tokenIds, (id) => this.#script.vocabulary[id] ?? new Uint8Array()));
  }

  #logits(tokens: Uint32Array, numCandidates: number): Omit<StepLogits, 'failures' | 'endings'> {
    const numRows = tokens.length;
    const size = this.#script.vocabulary.length;
    const candidateIds = new Uint32Array(numRows * numCandidates);
    const candidateLogits = new Float32Array(numRows * numCandidates).fill(OTHER_LOGIT);
    for (const [row, token] of tokens.entries()) {
      for (let rank = 0; rank < numCandidates; rank++) {
        candidateIds[row * numCandidates + rank] = rank === 0 ? token : rank <= token ? rank - 1 : rank;
      }
      if (numCandidates > 0) candidateLogits[row * numCandidates] = 0;
    }
    return {
      numRows,
      argmax: tokens,
      candidateIds,
      candidateLogits,
      logSumExp: new Float32Array(numRows),
      readLogits: async (rows) => {
        const whole = new Float32Array(rows.length * size).fill(OTHER_LOGIT);
        for (const [index, row] of rows.entries()) {
          for (const [id, bonus] of CLOSING_BONUS) whole[index * size + id]! += bonus;
          whole[index * size + tokens[row]!] = 0;
        }
        return whole;
      },
    };
  }
}

const ignoreAbort = (error: unknown): void => {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
};

/** What stands after the last user or tool marker, up to the next marker; without such a marker everything. */
const lastInput = (tokenIds: Uint32Array): Uint32Array => {
  const start = tokenIds.findLastIndex((id) => id === ROLE_TOKENS.user || id === ROLE_TOKENS.tool);
  if (start < 0) return tokenIds;
  const rest = tokenIds.subarray(start + 1);
  const end = rest.findIndex((id) => id >= 256 && id < FIRST_SCRIPT_TOKEN);
  return end < 0 ? rest : rest.subarray(0, end);
};
