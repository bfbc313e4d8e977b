/** Takes the place of the forward pass alone: "computes" logits whose best token is the next one of a script. */
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from './errors.ts';
import type { Batch, KvGeometry, ModelRunner, StepLimits, StepLogits } from './model-runner.ts';
import { scriptedSums } from './scripted-embedding.ts';
import type { Script } from './scripted-model.ts';
import { type Cue, Recital } from './scripted-recital.ts';
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
/** For where a grammar forbids the script's token: its first byte, else what closes, strings first, so that the answer ends. */
const BYTE_LOGIT = -2000;
const CLOSING_LOGITS: readonly (readonly [tokenId: number, logit: number])[] = [
  [END_OF_SEQUENCE, -4000],
  ...[...Buffer.from('"}]<:,')].map((byte, rank) => [byte, -4500 - 500 * rank] as const),
];
const MAX_CANDIDATES = 64;
const UNWRITTEN = 0xffffffff;

/** What a sequence says next, and when. */
interface Line extends Cue {
  readonly tokenId: number;
  readonly index: number;
  readonly delayMs: number;
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
  readonly #prompts = new Map<number, { readonly tokenIds: Uint32Array; readonly prefillMsPerToken: number }>();
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

  /** The pace of the prefill is taken from here, and what a prompt says of itself; the answer comes from the KV cache. */
  begin(sequenceId: number, promptTokenIds: Uint32Array): void {
    const rule = this.#match(this.#text(lastInput(promptTokenIds)));
    const prefillMsPerToken = this.#script.replies[rule]?.prefillMsPerToken ?? 0;
    this.#prompts.set(sequenceId, { tokenIds: promptTokenIds, prefillMsPerToken });
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
    const bytes: (number | undefined)[] = [];
    const failures = new Map<number, EngineError>();
    const endings = new Set<number>();
    const gates: (Promise<void> | undefined)[] = [];
    let sequence = 0;
    for (const [row, token] of batch.logitTokens.entries()) {
      while (batch.queryStarts[sequence + 1]! <= token) sequence++;
      const known = this.#known(batch, sequence, token);
      const said = known ?? this.#say(batch, sequence);
      if (typeof said === 'number') tokens[row] = said;
      else if (said instanceof EngineError) failures.set(row, said);
      else if (said === 'ended') endings.add(row);
      else {
        tokens[row] = said.tokenId;
        bytes[row] = said.byte;
        delayMs = Math.max(delayMs, said.delayMs);
        gates.push(this.#beforeToken?.(batch.sequenceIds[sequence]!, said.index));
      }
    }
    await this.#perform(batch.sequenceIds, delayMs, gates);
    const pooled = batch.segments ? { pooled: scriptedSums(batch.tokenIds, batch.segments) } : {};
    return { ...this.#logits(tokens, bytes, batch.numCandidates), ...pooled, failures, endings };
  }

  release(sequenceId: number): void {
    this.#recitals.delete(sequenceId);
    this.#prompts.delete(sequenceId);
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
      if (isPrefill) sumMs += numTokens * (this.#prompts.get(id)?.prefillMsPerToken ?? 0);
    }
    return sumMs;
  }

  /** Inside a prompt, and in what was said before a preemption, no token is likelier than the one that follows. */
  #known(
    { tokenIds, positions, queryStarts, sequenceIds }: Batch,
    sequence: number,
    token: number,
  ): number | undefined {
    if (token + 1 < queryStarts[sequence + 1]!) return tokenIds[token + 1];
    return this.#prompts.get(sequenceIds[sequence]!)?.tokenIds[positions[token]! + 1];
  }

  #say(batch: Batch, sequence: number): Line | 'ended' | EngineError {
    const contextLength = batch.contextLengths[sequence]!;
    const recital = this.#recital(batch, sequence);
    if (recital instanceof EngineError) return recital;
    const { numPromptTokens, reply } = recital;
    const { failAfterTokens, finish, interTokenMs } = reply;
    const index = contextLength - numPromptTokens;
    if (index === failAfterTokens) {
      return new EngineError('internal', `scripted:${this.#script.path}: failAfterTokens is ${failAfterTokens}`);
    }
    const blockTable = batch.groups[0]!.blockTables[sequence]!;
    const { tokenId, byte } = recital.cue(index, (said) => this.#tokenAt(blockTable, numPromptTokens + said));
    if (tokenId !== undefined) return { tokenId, byte, index, delayMs: index === 0 ? 0 : interTokenMs };
    return finish === 'length' ? 'ended' : { tokenId: END_OF_SEQUENCE, byte, index, delayMs: 0 };
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
    const recital = new Recital(reply, numPromptTokens, this.#script.vocabulary);
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

  #logits(
    tokens: Uint32Array,
    bytes: readonly (number | undefined)[],
    numCandidates: number,
  ): Omit<StepLogits, 'failures' | 'endings'> {
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
          const first = index * size;
          for (const [tokenId, logit] of CLOSING_LOGITS) whole[first + tokenId] = logit;
          const byte = bytes[row];
          if (byte !== undefined) whole[first + byte] = BYTE_LOGIT;
          whole[first + tokens[row]!] = 0;
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
