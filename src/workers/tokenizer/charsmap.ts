/**
 * SentencePiece's compiled normalization rules: a double array of the texts to be replaced, then their replacements, each
 * ended by a zero byte. Source: SentencePiece `Normalizer`, darts-clone's units.
 */
import { EngineError } from '../../runtime/errors.ts';

const LENGTH_BYTES = 4;

const damaged = (problem: string): EngineError =>
  new EngineError('model_file_invalid', `precompiled_charsmap: ${problem}; download the model again`);

/**
 * What replaces, from the left, the longest text that has a rule; other text stays.
 * @throws EngineError model_file_invalid when the rules are damaged, also later, when they are followed
 */
export const charsmap = (bytes: Uint8Array): ((text: string) => string) => {
  if (bytes.length < LENGTH_BYTES) throw damaged(`has ${bytes.length} bytes, at least ${LENGTH_BYTES} are needed`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unitBytes = view.getUint32(0, true);
  const end = LENGTH_BYTES + unitBytes;
  if (unitBytes % 4 !== 0 || unitBytes === 0 || end > bytes.length) {
    throw damaged(`${unitBytes} bytes of rules in ${bytes.length}`);
  }
  const units = Uint32Array.from({ length: unitBytes / 4 }, (_, at) => view.getUint32(LENGTH_BYTES + 4 * at, true));
  const rules = new Rules(units, bytes.subarray(end));
  const encoder = new TextEncoder();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (text) => decoder.decode(rules.apply(encoder.encode(text)));
};

class Rules {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  #matchLength = 0;
  #matchValue = 0;

  constructor(units: Uint32Array, replacements: Uint8Array) {
    this.#units = units;
    this.#replacements = replacements;
  }

  apply(text: Uint8Array): Uint8Array {
    let result = new Uint8Array(2 * text.length + 64);
    let length = 0;
    const append = (source: Uint8Array, from: number, to: number): void => {
      if (length + to - from > result.length) {
        const grown = new Uint8Array(2 * (length + to - from));
        grown.set(result);
        result = grown;
      }
      for (let at = from; at < to; at++) result[length++] = source[at]!;
    };
    for (let at = 0; at < text.length; ) {
      this.#match(text, at);
      const next = at + (this.#matchLength || characterBytes(text[at]!));
      if (this.#matchLength === 0) append(text, at, next);
      else append(this.#replacements, this.#matchValue, this.#replacementEnd());
      at = next;
    }
    return result.subarray(0, length);
  }

  /** Finds the longest rule for the text from a place on; a length of 0: none. */
  #match(text: Uint8Array, start: number): void {
    this.#matchLength = 0;
    let node = offsetOf(this.#unit(0));
    for (let at = start; at < text.length && text[at] !== 0; at++) {
      node ^= text[at]!;
      const unit = this.#unit(node);
      if (labelOf(unit) !== text[at]) return;
      node ^= offsetOf(unit);
      if (!hasLeaf(unit)) continue;
      this.#matchLength = at - start + 1;
      this.#matchValue = this.#unit(node) & 0x7fffffff;
    }
  }

  #unit(node: number): number {
    const unit = this.#units[node];
    if (unit === undefined) throw damaged(`a rule leads to unit ${node} of ${this.#units.length}`);
    return unit;
  }

  #replacementEnd(): number {
    const end = this.#replacements.indexOf(0, this.#matchValue);
    if (end < 0) throw damaged(`the replacement at byte ${this.#matchValue} has no end`);
    return end;
  }
}

/** A unit: the label in bits 0 to 7 (with bit 31 in values), a leaf in bit 8, the offset from bit 10, times 256 with bit 9. */
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
const labelOf = (unit: number): number => (unit & 0x800000ff) >>> 0;
const hasLeaf = (unit: number): boolean => (unit & 0x100) !== 0;

const characterBytes = (lead: number): number => {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
};
