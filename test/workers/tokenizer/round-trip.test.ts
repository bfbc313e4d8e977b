import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { createTokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { testData } from '../../support/test-data.ts';

const CASES = [
  { name: 'gpt-2', prefix: '' },
  { name: 'llama-spm', prefix: ' ' },
];

/** Scripts, spaces and control characters far more often than chance has them, and what looks like special tokens. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(' ', '  ', '\n', '\t', 'a', 'the', '1', '12', "'s", '<s>', '▁', '<0x41>', '\u0085', 'é', '🦙'),
    )
    .map((parts) => parts.join('')),
);

describe.each(CASES)('$name', ({ name, prefix }) => {
  const path = testData(`tokenizers/${name}.gguf`);
  test.runIf(path)('writes the bytes of any text back', async () => {
    const file = await openGguf(path!);
    const tokenizer = createTokenizer(ggufTokenizer(file)!);
    await file.close();
    fc.assert(
      fc.property(text, (original) => {
        // A lone surrogate has no UTF-8; SentencePiece writes its space mark as a space.
        const expected = Buffer.from(prefix ? original.replaceAll('▁', ' ') : original).toString();
        const ids = tokenizer.encode(original, { parseSpecial: false });
        const written = Buffer.concat(Array.from(ids, (id) => tokenizer.bytesOf(id))).toString('utf8');
        expect(written).toBe(expected === '' ? '' : prefix + expected);
      }),
      { numRuns: 500 },
    );
  });
});
