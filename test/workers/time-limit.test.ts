import { expect, test } from 'vitest';
import { withTimeLimit } from '../../src/workers/time-limit.ts';

const never = () => new Error('the limit was met');

test('gives what the work gives, and throws what it throws', () => {
  expect(withTimeLimit(() => 7, 1000, never)).toBe(7);
  const cause = new RangeError('no');
  expect(() =>
    withTimeLimit(
      () => {
        throw cause;
      },
      1000,
      never,
    ),
  ).toThrow(cause);
});

test('ends work that would not end, also in a regular expression or within a catch', () => {
  const endless = [
    () => {
      for (;;);
    },
    () => /^(a+)+$/.test(`${'a'.repeat(60)}b`),
    () => {
      for (;;) {
        try {
          for (;;);
        } catch {}
      }
    },
  ];
  for (const work of endless) expect(() => withTimeLimit<unknown>(work, 20, never)).toThrow('the limit was met');
  expect(withTimeLimit(() => 'still fine', 1000, never)).toBe('still fine');
});
