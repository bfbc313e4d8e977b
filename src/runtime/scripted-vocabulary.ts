/** The scripted model's tokens: bytes, role markers, end of sequence, and what the script names. */
import type { ByteDefinition } from '../workers/tokenizer/definition.ts';
import { isTag, turnEndsOf } from './weights/special-texts.ts';

export const SCRIPT_ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

/** Ids 0 to 255 are the bytes; then come the role markers, end of sequence, and the script's own tokens. */
export const ROLE_TOKENS: Readonly<Record<(typeof SCRIPT_ROLES)[number], number>> = Object.freeze({
  system: 256,
  developer: 257,
  user: 258,
  assistant: 259,
  tool: 260,
});
export const END_OF_SEQUENCE = 261;
export const FIRST_SCRIPT_TOKEN = 262;

const NO_BYTES = new Uint8Array();

/** Gives out ids: those that the script names for its special tokens, and the lowest free ones in order of mention. */
export class ScriptVocabulary {
  readonly #specialTokens: Readonly<Record<string, number>>;
  readonly #specialIds: ReadonlySet<number>;
  readonly #ids = new Map<string, number>();
  readonly #bytes = new Map<number, Uint8Array>();
  #nextId = FIRST_SCRIPT_TOKEN;

  constructor(specialTokens: Readonly<Record<string, number>>) {
    this.#specialTokens = specialTokens;
    this.#specialIds = new Set(Object.values(specialTokens));
    for (let id = 0; id < 256; id++) this.#bytes.set(id, Uint8Array.of(id));
    for (const [text, id] of Object.entries(specialTokens)) this.#bytes.set(id, Uint8Array.from(Buffer.from(text)));
  }

  special(text: string): number {
    return this.#specialTokens[text]!;
  }

  token(bytes: Uint8Array): number {
    const name = Buffer.from(bytes).toString('latin1');
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    while (this.#specialIds.has(this.#nextId)) this.#nextId++;
    const id = this.#nextId++;
    this.#ids.set(name, id);
    this.#bytes.set(id, Uint8Array.from(bytes));
    return id;
  }

  /** Bytes of every id up to the highest; ids between that are no token have none. */
  toArray(): readonly Uint8Array[] {
    const size = Math.max(this.#nextId, ...[...this.#specialIds].map((id) => id + 1));
    return Array.from({ length: size }, (_, id) => this.#bytes.get(id) ?? NO_BYTES);
  }
}

export interface ScriptTokens {
  readonly vocabulary: readonly Uint8Array[];
  readonly specialTokens: Readonly<Record<string, number>>;
  readonly opensReasoning: boolean;
}

/** What the tokenizer needs to know of a script. Special tokens count as in other vocabularies: some end the turn, tags have text. */
export const byteDefinition = ({ vocabulary, specialTokens, opensReasoning }: ScriptTokens): ByteDefinition => {
  const endsTurn = turnEndsOf(Object.keys(specialTokens));
  const special = Object.entries(specialTokens);
  return {
    model: 'bytes',
    endTokenIds: [END_OF_SEQUENCE, ...special.filter(([text]) => endsTurn(text)).map(([, id]) => id)],
    addBos: false,
    roleTokenIds: ROLE_TOKENS,
    extraTokens: vocabulary.slice(256),
    specialTokens: Object.fromEntries(special.filter(([text]) => !isTag(text))),
    opensReasoning,
  };
};
