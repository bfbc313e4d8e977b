/** A vocabulary's texts in the order of their bytes, so that a walk through them does what they share once. */
import { DEAD, OVER, type TextAutomaton } from './text-automaton.ts';

/** Tokens that begin alike, up to a byte that may begin an inset, and go on behind it. */
export interface Opening {
  readonly index: number;
  readonly prefix: Uint8Array;
  readonly tokens: readonly { readonly id: number; readonly rest: Uint8Array }[];
}

/** Masks that are kept of all automata; each has 19 KB for 151,936 tokens. */
const MAX_MASKS = 1_000;
const QUOTE = 0x22;
const BRACE = 0x7b;

export const opens = (byte: number): boolean => byte === QUOTE || byte === BRACE;

export class TokenOrder {
  /** [ceil(vocabularySize / 32)] words in a mask. */
  readonly numWords: number;
  readonly openings: readonly Opening[];
  /** The bytes of the longest token. */
  readonly longest: number;
  readonly #bytesOf: readonly Uint8Array[];
  /** Ids of tokens that have a text, in its order, and where each one's bytes begin. */
  readonly #ids: Int32Array;
  readonly #begins: Int32Array;
  readonly #bytes: Uint8Array;
  /** How many bytes a token shares with the one before it. */
  readonly #shared: Int32Array;
  /** Least recently used first. */
  readonly #masks = new Map<string, Int32Array<ArrayBuffer>>();

  /** @param bytesOf by token id; empty: no text */
  constructor(bytesOf: readonly Uint8Array[]) {
    this.#bytesOf = bytesOf;
    this.numWords = Math.ceil(bytesOf.length / 32);
    const ids = inOrder(bytesOf);
    this.#ids = Int32Array.from(ids);
    this.#bytes = Buffer.concat(ids.map((id) => bytesOf[id]!));
    this.#begins = new Int32Array(ids.length + 1);
    this.#shared = new Int32Array(ids.length + 1);
    for (const [rank, id] of ids.entries()) {
      this.#begins[rank + 1] = this.#begins[rank]! + bytesOf[id]!.length;
      if (rank > 0) this.#shared[rank] = sharedLength(bytesOf[ids[rank - 1]!]!, bytesOf[id]!);
    }
    this.longest = bytesOf.reduce((most, bytes) => Math.max(most, bytes.length), 0);
    this.openings = openingsOf(bytesOf);
  }

  bytesOf(id: number): Uint8Array {
    return this.#bytesOf[id]!;
  }

  /**
   * A mask of the tokens that an automaton does not refuse from a state on: behind its end, anything may follow.
   * Not to be changed: it may be kept for the next time.
   */
  allowed(automaton: TextAutomaton, from: number): Int32Array<ArrayBuffer> {
    const key = `${automaton.number} ${from}`;
    const mask = this.#masks.get(key) ?? this.#walk(automaton, from);
    this.#masks.delete(key);
    this.#masks.set(key, mask);
    if (this.#masks.size > MAX_MASKS) this.#masks.delete(this.#masks.keys().next().value!);
    return mask;
  }

  #walk(automaton: TextAutomaton, from: number): Int32Array<ArrayBuffer> {
    const mask = new Int32Array(this.numWords);
    const [ids, shared, begins, bytes] = [this.#ids, this.#shared, this.#begins, this.#bytes];
    // States after so many bytes of the token at hand.
    const states = new Int32Array(this.longest + 1);
    states[0] = from;
    let depth = 0;
    for (let rank = 0; rank < ids.length; rank++) {
      if (shared[rank]! < depth) depth = shared[rank]!;
      const begin = begins[rank]!;
      const length = begins[rank + 1]! - begin;
      let state = states[depth]!;
      while (depth < length && state >= 0) {
        state = automaton.next(state, bytes[begin + depth]!);
        states[++depth] = state;
      }
      const id = ids[rank]!;
      if (state !== DEAD) mask[id >> 5]! |= 1 << (id & 31);
      if (state >= 0) continue;
      // Those that begin with what was refused, or with what is over, share its lot.
      for (; shared[rank + 1]! >= depth; rank++) {
        const next = ids[rank + 1]!;
        if (state === OVER) mask[next >> 5]! |= 1 << (next & 31);
      }
    }
    return mask;
  }
}

/** Room for an id below four bytes in a number that is exact. */
const ID_RANGE = 2 ** 20;

/** Ids of tokens that have a text, in the order of their bytes: by the first four, which is quick, and then by the others. */
const inOrder = (bytesOf: readonly Uint8Array[]): number[] => {
  const beginOf = (bytes: Uint8Array): number =>
    ((bytes[0] ?? 0) * 2 ** 24 + ((bytes[1] ?? 0) << 16) + ((bytes[2] ?? 0) << 8) + (bytes[3] ?? 0)) * ID_RANGE;
  const keys = Float64Array.from(bytesOf, (bytes, id) => (bytes.length === 0 ? -1 : beginOf(bytes) + id));
  const ids: number[] = [];
  let group: number[] = [];
  let begin = -1;
  const flush = (): void => {
    if (group.length > 1) group.sort((a, b) => compare(bytesOf[a]!, bytesOf[b]!));
    for (const id of group) ids.push(id);
    group = [];
  };
  for (const key of keys.sort()) {
    if (key < 0) continue;
    const next = Math.floor(key / ID_RANGE);
    if (next !== begin) flush();
    begin = next;
    group.push(key % ID_RANGE);
  }
  flush();
  return ids;
};

const compare = (a: Uint8Array, b: Uint8Array): number => {
  const length = sharedLength(a, b);
  return (a[length] ?? -1) - (b[length] ?? -1);
};

const sharedLength = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a[i] === b[i]) i++;
  return i;
};

const openingsOf = (bytesOf: readonly Uint8Array[]): Opening[] => {
  const found = new Map<string, { index: number; prefix: Uint8Array; tokens: { id: number; rest: Uint8Array }[] }>();
  for (const [id, bytes] of bytesOf.entries()) {
    for (let i = 0; i < bytes.length - 1; i++) {
      if (!opens(bytes[i]!)) continue;
      const prefix = bytes.subarray(0, i + 1);
      const key = Buffer.from(prefix).toString('latin1');
      if (!found.has(key)) found.set(key, { index: found.size, prefix, tokens: [] });
      found.get(key)?.tokens.push({ id, rest: bytes.subarray(i + 1) });
    }
  }
  return [...found.values()];
};
