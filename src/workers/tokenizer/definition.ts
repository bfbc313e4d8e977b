/** What a tokenizer is made of: plain values that cross to worker threads. */

/** ggml's token types. Source: `llama_token_type`. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

interface CommonDefinition {
  readonly bosTokenId?: number;
  /** Tokens that end the model's turn. */
  readonly endTokenIds: readonly number[];
  /** Put BOS before a prompt that does not have it. */
  readonly addBos: boolean;
  /** Goes behind a text whose embedding is wanted: BERT's [SEP], or the end of sequence; absent: nothing does. */
  readonly embeddingEndTokenId?: number;
  /** Jinja source; absent: plain text only. */
  readonly chatTemplate?: string;
}

/** One cut of text into pieces. Source: the `Split` pre-tokenizer of Hugging Face's tokenizers. */
export interface SplitStep {
  /** A JavaScript expression for the flags `gu`. */
  readonly pattern: string;
  /** What becomes of a match: a piece of its own, nothing, or a part of its neighbour. Runs of matches are one piece. */
  readonly behavior: 'isolated' | 'removed' | 'mergedWithPrevious' | 'mergedWithNext' | 'contiguous';
  /** What lies between the matches counts as the matches. */
  readonly invert?: boolean;
}

/** One change to text before it is cut. Source: the normalizers of Hugging Face's tokenizers. */
export type NormalizerStep =
  | { readonly kind: 'nfc' | 'nfd' | 'nfkc' | 'nfkd' | 'lowercase' }
  /** `pattern`: a JavaScript expression for the flags `gu`. */
  | { readonly kind: 'replace'; readonly pattern: string; readonly content: string }
  /** SentencePiece's compiled rules (`precompiled_charsmap`). */
  | { readonly kind: 'charsmap'; readonly bytes: Uint8Array };

/** A vocabulary as GGUF files and tokenizer.json keep it. */
export interface VocabularyDefinition extends CommonDefinition {
  /**
   * `llama`: SentencePiece BPE by score, or by merge rank where `merges` are given. `gpt2`: byte-level BPE by merge
   * rank. `t5`: SentencePiece Unigram. `bert`: WordPiece, where a piece that begins a word begins with U+2581.
   */
  readonly model: 'llama' | 'gpt2' | 't5' | 'bert';
  /** [vocabularySize]; ids are indices. */
  readonly tokens: readonly string[];
  /** [vocabularySize] of `TOKEN_TYPE`. */
  readonly tokenTypes: readonly number[];
  /** `llama`: [vocabularySize], higher merges first. `t5`: log-probabilities. */
  readonly scores?: readonly number[];
  /** `gpt2`, `llama`: "left right", best first. */
  readonly merges?: readonly string[];
  /** `gpt2`: the pre-tokenizer's name (`tokenizer.ggml.pre`), or its steps. `llama`, `t5`: steps, if there are any. */
  readonly preTokenizer?: string | readonly SplitStep[];
  /** `gpt2`: words that are tokens are not merged together. Absent: as the pre-tokenizer's name has it. */
  readonly takesWholeWords?: boolean;
  /** `gpt2`: cuts of the words that the pre-tokenizer made, written in the alphabet of bytes. */
  readonly byteSteps?: readonly SplitStep[];
  /** `llama`: each unknown character is an unknown token; else a run of them is one. */
  readonly separatesUnknown?: boolean;
  /** Changes to text before anything else, in order. */
  readonly normalizer?: readonly NormalizerStep[];
  /** `llama`, `t5`: a space goes before the text, and before text that follows a special token. */
  readonly addSpacePrefix: boolean;
  /** That space only goes before the prompt's very beginning. */
  readonly onlyFirstSpacePrefix?: boolean;
  /** That space only goes before text that does not begin with one. */
  readonly noSecondSpacePrefix?: boolean;
  /** `t5`: every word has one space before it and none after it, however many the text has. */
  readonly mergesSpaces?: boolean;
  /** `bert`: longer words are unknown. */
  readonly maxWordCharacters?: number;
  readonly unknownTokenId?: number;
  /** Special tokens that take the white space before them away. */
  readonly trimsBefore?: readonly number[];
  /** Special tokens that take the white space after them away. */
  readonly trimsAfter?: readonly number[];
}

/** The scripted model's: ids 0 to 255 are bytes, then a marker for each role, then end of sequence, then the script's. */
export interface ByteDefinition extends CommonDefinition {
  readonly model: 'bytes';
  /** Control tokens that begin a message, by role. */
  readonly roleTokenIds: Readonly<Record<'system' | 'developer' | 'user' | 'assistant' | 'tool', number>>;
  /** Bytes of the tokens from 256 on; empty for roles, the end, and ids that are no token. */
  readonly extraTokens: readonly Uint8Array[];
  /** Ids of control tokens that the script names, by their texts. */
  readonly specialTokens?: Readonly<Record<string, number>>;
  /** Prompts end inside a reasoning block, unless thinking is turned off. */
  readonly opensReasoning?: boolean;
}

export type TokenizerDefinition = VocabularyDefinition | ByteDefinition;
