/** Log-probabilities in the four arrays of OpenAI's legacy completions. */
import type { ChosenLogprob, PromptLogprobs, TokenPiece } from '../../runtime/api.ts';
import { LOWEST_LOGPROB, tokenText } from './openai.ts';

/** One entry of each for every token. */
export interface LogprobArrays {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
  readonly text_offset: readonly number[];
}

const finite = (logprob: number): number => Math.max(logprob, LOWEST_LOGPROB);

/** By the tokens' texts; of two with one text the likelier is kept. */
const alternatives = (found: Iterable<readonly [text: string, logprob: number]>): Record<string, number> => {
  const byText = new Map<string, number>();
  for (const [text, logprob] of found) if (!byText.has(text)) byText.set(text, finite(logprob));
  return Object.fromEntries(byText);
};

const numCharacters = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

/** The arrays of one choice's text as it grows. Offsets count Unicode characters from its beginning. */
export class LegacyLogprobs {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #offset = 0;

  /**
   * The prompt's. What the tokenizer put before its text (a token that begins it, a space) is no part of it: those tokens
   * have a shorter text, or none.
   * @param echo the prompt's text
   */
  prompt(prompt: PromptLogprobs, echo: string): LogprobArrays {
    const { tokenIds, logprobs, numTop, topIds, topLogprobs, pieces } = prompt;
    const bytes = textBytes(
      Array.from(tokenIds, (id) => bytesOf(pieces.get(id))),
      Buffer.from(echo),
    );
    const tokens = bytes.map(tokenText);
    const top = tokens.map((text, index) => {
      if (index === 0) return null;
      const ranks = Array.from({ length: numTop }, (_, rank) => index * numTop + rank);
      const own = tokenIds[index]!;
      const others = ranks.map((at): [string, number] => {
        const id = topIds[at]!;
        return [id === own ? text : tokenText(bytesOf(pieces.get(id))), topLogprobs[at]!];
      });
      return alternatives([...others, [text, logprobs[index]!]]);
    });
    return {
      tokens,
      token_logprobs: Array.from(logprobs, (logprob, index) => (index === 0 ? null : finite(logprob))),
      top_logprobs: top,
      text_offset: bytes.map((each) => this.#place(each)),
    };
  }

  answer(logprobs: readonly ChosenLogprob[]): LogprobArrays {
    return {
      tokens: logprobs.map(({ bytes }) => tokenText(bytes)),
      token_logprobs: logprobs.map(({ logprob }) => finite(logprob)),
      // The chosen token is always among them.
      top_logprobs: logprobs.map((chosen) =>
        alternatives([...chosen.top, chosen].map(({ bytes, logprob }) => [tokenText(bytes), logprob])),
      ),
      text_offset: logprobs.map(({ bytes }) => this.#place(bytes)),
    };
  }

  #place(bytes: Uint8Array): number {
    const offset = this.#offset;
    this.#offset += numCharacters(this.#decoder.decode(bytes, { stream: true }));
    return offset;
  }
}

export const joinedArrays = (first: LogprobArrays, second: LogprobArrays): LogprobArrays => ({
  tokens: [...first.tokens, ...second.tokens],
  token_logprobs: [...first.token_logprobs, ...second.token_logprobs],
  top_logprobs: [...first.top_logprobs, ...second.top_logprobs],
  text_offset: [...first.text_offset, ...second.text_offset],
});

const bytesOf = (piece: TokenPiece | undefined): Uint8Array =>
  typeof piece === 'string' ? Buffer.from(piece) : (piece ?? new Uint8Array());

/** The tokens' bytes without those in front that the text does not have; as they are where they do not end with it. */
const textBytes = (bytes: readonly Uint8Array[], text: Uint8Array): readonly Uint8Array[] => {
  const whole = Buffer.concat(bytes);
  let numSurplus = whole.length - text.length;
  if (numSurplus <= 0 || !whole.subarray(numSurplus).equals(text)) return bytes;
  return bytes.map((each) => {
    const numCut = Math.min(numSurplus, each.length);
    numSurplus -= numCut;
    return each.subarray(numCut);
  });
};
