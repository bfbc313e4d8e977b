import fc from 'fast-check';
import { expect, test } from 'vitest';
import { detokenize, flushPending } from '../../src/workers/detokenizer.ts';

/** Feeds the parts one after the other. */
const textOf = (parts: readonly Uint8Array[]): string => {
  let pending: Uint8Array = new Uint8Array();
  let text = '';
  for (const part of parts) {
    const step = detokenize(pending, part);
    expect(step.pending.length).toBeLessThanOrEqual(3);
    text += step.text;
    pending = step.pending;
  }
  return text + flushPending(pending);
};

const cut = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const cuts = [...places.map((place) => place % (bytes.length + 1)), 0, bytes.length].sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
};

const whole = new TextDecoder('utf-8', { ignoreBOM: true });
const places = fc.array(fc.nat(), { maxLength: 12 });

test('gives the same text for every split of a text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), places, (text, where) => {
      expect(textOf(cut(new TextEncoder().encode(text), where))).toBe(new TextDecoder().decode(Buffer.from(text)));
    }),
  );
});

test('gives what the WHATWG decoder gives for every split of any bytes', () => {
  // Leads and continuations far more often than chance would have them.
  const byte = fc.oneof(
    fc.nat(255),
    fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0xc2, 0xef, 0xbb, 0xbf, 0x80, 0x9f, 0xa0, 0x90),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(byte, { maxLength: 40 }), places, (any, biased, where) => {
      for (const bytes of [any, Uint8Array.from(biased)]) {
        expect(textOf(cut(bytes, where))).toBe(whole.decode(bytes));
        expect(textOf(Array.from(bytes, (one) => Uint8Array.of(one)))).toBe(whole.decode(bytes));
      }
    }),
    { numRuns: 1000 },
  );
});

test('holds an incomplete character and completes it', () => {
  const [first, second] = [Uint8Array.of(0x61, 0xf0, 0x9f), Uint8Array.of(0x98, 0x80, 0x62)];
  const step = detokenize(new Uint8Array(), first);
  expect(step).toEqual({ text: 'a', pending: Uint8Array.of(0xf0, 0x9f) });
  expect(detokenize(step.pending, second)).toEqual({ text: '😀b', pending: new Uint8Array() });
});

test('an incomplete character at the end becomes one replacement character', () => {
  expect(flushPending(Uint8Array.of(0xf0, 0x9f, 0x98))).toBe('\ufffd');
  expect(flushPending(new Uint8Array())).toBe('');
});

test('bytes that nothing can complete leave at once', () => {
  expect(detokenize(new Uint8Array(), Uint8Array.of(0xe0, 0x80))).toEqual({
    text: '\ufffd\ufffd',
    pending: new Uint8Array(),
  });
  expect(detokenize(new Uint8Array(), Uint8Array.of(0xff))).toEqual({ text: '\ufffd', pending: new Uint8Array() });
});
