/** Which conversation of a user a prompt goes on with. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../src/runtime/api.ts';
import { outlineOf } from '../../../src/runtime/sessions/outline.ts';
import { chooseTimeline, commonPrefix, Timeline } from '../../../src/runtime/sessions/timeline.ts';
import { run, tokens } from '../../support/sessions.ts';

/** One token a character, and one before and after each message: a template as simple as can be. */
const render = (messages: readonly ChatMessage[]): Uint32Array => {
  const ids = messages.flatMap(({ role, content }) => [
    role === 'user' ? 1 : role === 'assistant' ? 2 : 3,
    ...[...String(content)].map((character) => character.codePointAt(0)! + 10),
    4,
  ]);
  return Uint32Array.from([...ids, 2]);
};
const outline = (messages: readonly ChatMessage[]) =>
  outlineOf({ kind: 'chat', messages, continueFinalMessage: false });
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });

const answered = (messages: readonly ChatMessage[], answer: string, lastUsedAt = 0): Timeline => {
  const prompt = render(messages);
  const tokenIds = Uint32Array.from([...prompt, ...render([assistant(answer)]).subarray(1, -1)]);
  const shape = outline(messages);
  return new Timeline({
    tokenIds,
    numPromptTokens: prompt.length,
    answerReasons: false,
    lastUsedAt,
    ...(shape ? { outline: shape } : {}),
  });
};
const choose = (timelines: readonly Timeline[], messages: readonly ChatMessage[]) =>
  chooseTimeline(timelines, render(messages), outline(messages));

const text = fc.string({ minLength: 1, maxLength: 12 });
/** Conversations of one user: the same instructions, first words of their own. */
const conversations = fc
  .record({
    system: fc.string({ maxLength: 40 }),
    turns: fc.uniqueArray(fc.tuple(text, fc.array(fc.tuple(text, text), { maxLength: 4 })), {
      minLength: 2,
      maxLength: 6,
      selector: ([first]) => first,
    }),
  })
  .map(({ system, turns }) =>
    turns.map(([first, rest]) => [
      { role: 'system' as const, content: system },
      user(first),
      ...rest.flatMap(([answer, question]) => [assistant(answer), user(question)]),
    ]),
  );

describe('a user with several conversations', () => {
  test('goes on with the right one of any, whatever they share', () => {
    fc.assert(
      fc.property(conversations, text, text, (all, answer, question) => {
        const timelines = all.map((messages, index) => answered(messages, answer, index));
        for (const [index, messages] of all.entries()) {
          const next = [...messages, assistant(answer), user(question)];
          expect(choose(timelines, next)).toBe(timelines[index]);
        }
      }),
    );
  });

  test('begins another with first words that none has', () => {
    fc.assert(
      fc.property(conversations, text, ([first, ...others], answer) => {
        const timelines = others.map((messages) => answered(messages, answer));
        expect(choose(timelines, first!)).toBeUndefined();
      }),
    );
  });

  test('asks the last question again, or another in its place, in the same one', () => {
    const messages = [user('a'), assistant('b'), user('c')];
    const timeline = answered(messages, 'd');
    expect(choose([timeline], messages)).toBe(timeline);
    expect(choose([timeline], [user('a'), assistant('b'), user('other')])).toBe(timeline);
    expect(choose([timeline], [user('a')])).toBeUndefined();
  });

  test('is recognized although the instructions or the tools have changed', () => {
    const messages = [{ role: 'system' as const, content: 'It is Monday' }, user('a'), assistant('b'), user('c')];
    const timeline = answered(messages, 'd');
    const next = [{ ...messages[0]!, content: 'It is Tuesday' }, ...messages.slice(1), assistant('d'), user('e')];
    expect(choose([timeline], next)).toBe(timeline);
  });

  test('says the same first words twice: the conversation that shares more, then the later one', () => {
    const [short, long] = [answered([user('hi')], 'a', 5), answered([user('hi'), assistant('a'), user('b')], 'c', 1)];
    expect(choose([short, long], [user('hi'), assistant('a'), user('b'), assistant('c'), user('d')])).toBe(long);
    const twin = answered([user('hi')], 'a', 9);
    expect(choose([short, twin], [user('hi'), assistant('a'), user('b')])).toBe(twin);
  });
});

test('prompts that are no conversation go on with the tokens of the whole earlier prompt', () => {
  const timeline = new Timeline({ tokenIds: run(0, 50), numPromptTokens: 40, answerReasons: false, lastUsedAt: 0 });
  const choice = (ids: Uint32Array) => chooseTimeline([timeline], ids, undefined);
  expect(choice(run(0, 90))).toBe(timeline);
  expect(choice(run(0, 40))).toBe(timeline);
  expect(choice(Uint32Array.from([...run(0, 36), ...run(500, 20)]))).toBe(timeline);
  expect(choice(Uint32Array.from([...run(0, 35), ...run(500, 20)]))).toBeUndefined();
  expect(choice(tokens(7))).toBeUndefined();
});

test('a common prefix is the one that a plain loop finds', () => {
  const ids = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 20 });
  fc.assert(
    fc.property(ids, ids, (first, second) => {
      const length = commonPrefix(Uint32Array.from(first), Uint32Array.from(second));
      expect(first.slice(0, length)).toEqual(second.slice(0, length));
      const ends = length === first.length || length === second.length;
      expect(ends || first[length] !== second[length]).toBe(true);
    }),
  );
});
