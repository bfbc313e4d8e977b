/** Follows a script token by token, and by its text where a grammar writes for the model or takes its tokens away. */
import type { ScriptedReply } from './scripted-model.ts';

const THINK = Buffer.from('<think>');
const END_OF_THINK = Buffer.from('</think>');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;

/** What the script says next. */
export interface Cue {
  /** Undefined: it has been said to its end, or left. */
  readonly tokenId: number | undefined;
  /** The same text's first byte, for where the token as a whole may not come. */
  readonly byte?: number | undefined;
}

/** A reply in progress; it outlives preemption. */
export class Recital {
  readonly reply: ScriptedReply;
  readonly numPromptTokens: number;
  readonly #vocabulary: readonly Uint8Array[];
  /** Tokens of the answer that are the script's own, from the beginning. */
  #numAgreed = 0;
  /** From the first other token on. */
  #follower: TextFollower | undefined;
  #numHeard = 0;

  /** @param vocabulary bytes of every token id */
  constructor(reply: ScriptedReply, numPromptTokens: number, vocabulary: readonly Uint8Array[]) {
    this.reply = reply;
    this.numPromptTokens = numPromptTokens;
    this.#vocabulary = vocabulary;
  }

  /**
   * @param numSaid tokens of the answer so far, never less than before
   * @param tokenAt the answer's token at an index below that
   */
  cue(numSaid: number, tokenAt: (index: number) => number): Cue {
    const { tokenIds } = this.reply;
    while (this.#numAgreed < numSaid && tokenAt(this.#numAgreed) === tokenIds[this.#numAgreed]) this.#numAgreed++;
    const next = tokenIds[numSaid];
    if (this.#numAgreed === numSaid)
      return { tokenId: next, byte: next === undefined ? undefined : this.#bytes(next)[0] };
    this.#follower ??= new TextFollower(tokenIds.map((id) => this.#bytes(id)));
    for (; this.#numHeard < numSaid; this.#numHeard++) {
      for (const byte of this.#bytes(tokenAt(this.#numHeard))) this.#follower.hear(byte);
    }
    const { index, byte } = this.#follower.next();
    return { tokenId: index === undefined ? undefined : (tokenIds[index] ?? byte), byte };
  }

  #bytes(tokenId: number): Uint8Array {
    return this.#vocabulary[tokenId] ?? new Uint8Array();
  }
}

/** Finds an answer's place in a script by what was said. */
class TextFollower {
  readonly #script: Uint8Array;
  /** Indices of the script's tokens by the byte at which each begins. */
  readonly #starts = new Map<number, number>();
  /** Byte of the script that comes next; undefined: the answer has left the script. */
  #place: number | undefined = 0;
  /** What was said since the answer came to the script, and the byte where it did. */
  #run: number[] = [];
  #runStart = 0;
  /** The last bytes that were said, as many as a tag has. */
  #tail = Buffer.alloc(0);
  /** Inside `<think>`, as far as was said. */
  #isThinking = false;
  /** Inside a text of JSON, as far as quotes tell on the line. */
  #isInString = false;

  constructor(pieces: readonly Uint8Array[]) {
    let length = 0;
    for (const [index, piece] of pieces.entries()) {
      this.#starts.set(length, index);
      length += piece.length;
    }
    this.#script = Buffer.concat(pieces);
  }

  /** The token that comes next, −1 within one; undefined: there is none. And its byte, or one that a grammar may wait for. */
  next(): { index: number | undefined; byte: number | undefined } {
    const place = this.#place ?? this.#script.length;
    if (place === this.#script.length) return { index: undefined, byte: this.#closing() };
    return { index: this.#starts.get(place) ?? -1, byte: this.#script[place] };
  }

  /** What a grammar may be waiting for. */
  #closing(): number | undefined {
    if (!this.#isThinking) return this.#isInString ? QUOTE : undefined;
    let length = END_OF_THINK.length - 1;
    while (!this.#tail.subarray(this.#tail.length - length).equals(END_OF_THINK.subarray(0, length))) length--;
    return END_OF_THINK[length];
  }

  hear(byte: number): void {
    this.#watch(byte);
    if (this.#place === undefined && isSpace(byte)) return;
    this.#run.push(byte);
    const next = this.#place === undefined ? undefined : this.#behind(byte, this.#place);
    if (next !== undefined) this.#place = next;
    else this.#findAgain(byte);
  }

  #watch(byte: number): void {
    if (byte === QUOTE && this.#tail.at(-1) !== BACKSLASH) this.#isInString = !this.#isInString;
    if (byte === LINE_FEED) this.#isInString = false;
    this.#tail = Buffer.concat([this.#tail.subarray(1 - END_OF_THINK.length), Uint8Array.of(byte)]);
    if (this.#tail.equals(END_OF_THINK)) this.#isThinking = false;
    else if (this.#tail.subarray(-THINK.length).equals(THINK)) this.#isThinking = true;
  }

  /** White space may differ from the script's. */
  #behind(byte: number, place: number): number | undefined {
    if (this.#script[place] === byte) return place + 1;
    if (isSpace(byte)) return place;
    let inked = place;
    while (isSpace(this.#script[inked])) inked++;
    return this.#script[inked] === byte ? inked + 1 : undefined;
  }

  /** The answer may have come to the script elsewhere than it seemed, or comes to it now; rather further on than back. */
  #findAgain(byte: number): void {
    const starts = [...this.#starts.keys()];
    const from = this.#place ?? 0;
    for (const start of starts.filter((each) => each > this.#runStart)) {
      this.#place = this.#run.reduce<number | undefined>(
        (place, said) => (place === undefined ? undefined : this.#behind(said, place)),
        start,
      );
      if (this.#place === undefined) continue;
      this.#runStart = start;
      return;
    }
    const begins = (start: number): boolean => this.#script[start] === byte;
    const start = starts.find((each) => each >= from && begins(each)) ?? starts.find(begins);
    this.#run = start === undefined ? [] : [byte];
    this.#runStart = start ?? 0;
    this.#place = start === undefined ? undefined : start + 1;
  }
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
