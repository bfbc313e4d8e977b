/** What a tokenizer is made of: plain values that cross to worker threads. */

/** ggml's token types. Source: `llama_token_type`. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

interface CommonDefinition {
  readonly bosTokenId?: number;
  /** Tokens that end the model's turn. */
  readonly endTokenIds: readonly number[];
  /** Put BOS before a prompt that does not have it. */
  readonly addBos: boolean;
  /** Jinja source; absent: plain text only. */
  readonly chatTemplate?: string;
}

/** A vocabulary as GGUF files keep it. */
export interface VocabularyDefinition extends CommonDefinition {
  /** `llama`: SentencePiece BPE by score. `gpt2`: byte-level BPE by merge rank. */
  readonly model: 'llama' | 'gpt2';
  /** [vocabularySize]; ids are indices. */
  readonly tokens: readonly string[];
  /** [vocabularySize] of `TOKEN_TYPE`. */
  readonly tokenTypes: readonly number[];
  /** `llama`: [vocabularySize], higher merges first. */
  readonly scores?: readonly number[];
  /** `gpt2`: "left right", best first. */
  readonly merges?: readonly string[];
  /** `gpt2`: the pre-tokenizer's name (`tokenizer.ggml.pre`). */
  readonly preTokenizer?: string;
  /** `llama`: a space goes before the text. */
  readonly addSpacePrefix: boolean;
  readonly unknownTokenId?: number;
}

/** The scripted model's: ids 0 to 255 are bytes, then a marker for each role, then end of sequence, then the script's. */
export interface ByteDefinition extends CommonDefinition {
  readonly model: 'bytes';
  /** Control tokens that begin a message, by role. */
  readonly roleTokenIds: Readonly<Record<'system' | 'developer' | 'user' | 'assistant' | 'tool', number>>;
  /** Bytes of the tokens from 256 on; a control token's are empty. */
  readonly extraTokens: readonly Uint8Array[];
}

export type TokenizerDefinition = VocabularyDefinition | ByteDefinition;
