/** What follows an answer, whatever follows it: the library over a grammar, or an automaton of ours. */

export interface Matcher {
  /** Goes on by a token. False: it is not allowed, and the matcher is of no more use. */
  acceptToken(tokenId: number): Promise<boolean>;
  /** Whether a token may come next; goes nowhere. */
  allows(tokenId: number): Promise<boolean>;
  /** The mask of the tokens that may come next, of the caller's own. */
  nextTokenMask(): Promise<Int32Array<ArrayBuffer>>;
  /** What comes next without an alternative. */
  forcedText(): string;
  isTerminated(): boolean;
  dispose(): void;
}

/** A format that answers are followed through. To be disposed of. */
export interface Compiled {
  createMatcher(): Promise<Matcher>;
  dispose(): void;
}
