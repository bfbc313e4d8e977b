import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type OutputFormat, OutputParser } from '../../../src/runtime/output/parser.ts';
import { StopMatcher } from '../../../src/runtime/output/stop-matcher.ts';

const FORMAT: OutputFormat = { reasoning: 'think', reasoningOpened: false, stop: [] };

const parse = (pieces: readonly string[], format: Partial<OutputFormat> = {}) => {
  const parser = new OutputParser({ ...FORMAT, ...format });
  const events: ReturnType<OutputParser['push']> = [];
  for (const piece of pieces) {
    if (parser.stopSequence === undefined) events.push(...parser.push(piece));
  }
  if (parser.stopSequence === undefined) events.push(...parser.flush());
  const join = (type: 'text' | 'reasoning') => events.map((event) => (event.type === type ? event.text : '')).join('');
  return {
    events,
    text: join('text'),
    reasoning: join('reasoning'),
    stop: parser.stopSequence,
    reasoningTokens: parser.reasoningTokens,
  };
};

/** A text and one way to cut it into pieces, some of them empty. */
const cutText = (alphabet: string[]) =>
  fc.array(fc.constantFrom(...alphabet), { maxLength: 14 }).chain((parts) => {
    const text = parts.join('');
    return fc
      .array(fc.nat(text.length), { maxLength: 12 })
      .map((cuts) => [0, ...cuts.sort((a, b) => a - b), text.length])
      .map((cuts) => ({ text, pieces: cuts.slice(1).map((end, index) => text.slice(cuts[index]!, end)) }));
  });

describe('stop matcher', () => {
  test('matches across pieces and drops what follows', () => {
    const matcher = new StopMatcher(['END']);
    expect(['one E', 'N', 'Dtwo'].map((piece) => matcher.push(piece))).toEqual([
      { text: 'one ' },
      { text: '' },
      { text: '', stop: 'END' },
    ]);
  });

  test('takes as many stop strings as there are', () => {
    const matcher = new StopMatcher(Array.from({ length: 200_000 }, (_, index) => `stop ${index}`));
    expect(matcher.push('a sto')).toEqual({ text: 'a ' });
    expect(matcher.push('p 7!')).toEqual({ text: '', stop: 'stop 7' });
  });

  test('lets text go as soon as it cannot become a stop string', () => {
    const matcher = new StopMatcher(['abc']);
    expect([matcher.push('xab'), matcher.push('x'), matcher.push('ab')]).toEqual([
      { text: 'x' },
      { text: 'abx' },
      { text: '' },
    ]);
    expect(matcher.flush()).toBe('ab');
  });

  test('finds what a naive search for the first complete stop string finds, for every split', () => {
    const stops = ['ab', 'aab', 'bca', 'cc', 'abcab'];
    fc.assert(
      fc.property(cutText(['a', 'b', 'c', 'ab', 'ca']), ({ text, pieces }) => {
        let expected: { text: string; stop?: string } = { text };
        for (let end = 1; end <= text.length && expected.stop === undefined; end++) {
          const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length);
          if (ending[0]) expected = { text: text.slice(0, end - ending[0].length), stop: ending[0] };
        }
        const matcher = new StopMatcher(stops);
        let out = '';
        let stop: string | undefined;
        for (const piece of pieces) {
          const result = matcher.push(piece);
          out += result.text;
          stop = result.stop;
          if (stop !== undefined) break;
        }
        expect({ text: out + (stop === undefined ? matcher.flush() : ''), stop }).toEqual({
          stop: undefined,
          ...expected,
        });
      }),
      { numRuns: 2000 },
    );
  });
});

describe('output parser', () => {
  test('gives one event a token', () => {
    expect(parse(['Hel', 'lo', ' you']).events).toEqual(['Hel', 'lo', ' you'].map((text) => ({ type: 'text', text })));
  });

  test('separates reasoning from the answer, whatever the tokens', () => {
    for (const pieces of [
      ['<think>\nHm.</think>\n\nYes'],
      [...'<think>\nHm.</think>\n\nYes'],
      ['\n <think>', '\nHm.</', 'think>\n', '\nYes'],
    ]) {
      expect(parse(pieces)).toMatchObject({ reasoning: '\nHm.', text: 'Yes' });
    }
  });

  test('starts in reasoning when the template opened it, and swallows a second opening tag', () => {
    expect(parse(['Hm', '.</think>', 'Yes'], { reasoningOpened: true })).toMatchObject({
      reasoning: 'Hm.',
      text: 'Yes',
    });
    expect(parse(['<think>', 'Hm.</think>Yes'], { reasoningOpened: true })).toMatchObject({
      reasoning: 'Hm.',
      text: 'Yes',
    });
  });

  test('leaves an unclosed block as reasoning', () => {
    expect(parse(['<think>', 'Hm', '</thi'])).toMatchObject({ reasoning: 'Hm</thi', text: '' });
  });

  test('takes a tag that is not at the start for text, and any tag when the format has none', () => {
    expect(parse(['a <think>b'])).toMatchObject({ reasoning: '', text: 'a <think>b' });
    expect(parse(['<think>b'], { reasoning: 'none' })).toMatchObject({ reasoning: '', text: '<think>b' });
  });

  test('looks for stop strings in the answer alone', () => {
    expect(parse(['<think>a STOP b</think>c ST', 'OP d'], { stop: ['STOP'] })).toMatchObject({
      reasoning: 'a STOP b',
      text: 'c ',
      stop: 'STOP',
    });
  });

  test('counts the tokens spent on reasoning', () => {
    expect(parse(['<think>', 'a', 'b', '</think>', 'c', 'd']).reasoningTokens).toBe(4);
    expect(parse(['<th', 'ink>', 'a</think>c', 'd']).reasoningTokens).toBe(2);
    expect(parse(['a', 'b']).reasoningTokens).toBe(0);
  });

  test('attaches log-probabilities of held tokens to the next event', () => {
    const logprob = (tokenId: number) => ({ tokenId, bytes: new Uint8Array(), logprob: -1, top: [] });
    const parser = new OutputParser({ ...FORMAT, reasoning: 'none', stop: ['ab'] });
    expect(parser.push('xa', { logprobs: logprob(1) })).toEqual([{ type: 'text', text: 'x', logprobs: [logprob(1)] }]);
    expect(parser.push('a', { logprobs: logprob(2) })).toEqual([{ type: 'text', text: 'a', logprobs: [logprob(2)] }]);
    expect(parser.push('', { logprobs: logprob(3) })).toEqual([]);
    expect(parser.flush()).toEqual([{ type: 'text', text: 'a', logprobs: [logprob(3)] }]);
  });

  test('counts log-probabilities of tags and of white space between as reasoning, never as answer', () => {
    const logprob = (tokenId: number) => ({ tokenId, bytes: new Uint8Array(), logprob: -1, top: [] });
    const parser = new OutputParser(FORMAT);
    const tokens = ['<think>', 'Hm', '</', 'think>', '\n\n', 'Yes', '.'];
    const events = tokens.flatMap((text, id) => parser.push(text, { logprobs: logprob(id) }));
    const idsOf = (type: 'text' | 'reasoning') =>
      events.flatMap((event) => (event.type === type ? event.logprobs!.map(({ tokenId }) => tokenId) : []));
    expect([idsOf('reasoning'), idsOf('text')]).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6],
    ]);
  });

  test('gives the same reasoning, text and stop string for every split', () => {
    const alphabet = ['<think>', '</think>', '<', 'think', '>', '</', ' ', '\n', 'a', 'STOP', 'ST', 'é'];
    fc.assert(
      fc.property(cutText(alphabet), fc.boolean(), fc.boolean(), ({ text, pieces }, reasoningOpened, thinks) => {
        const format = { reasoning: thinks ? 'think' : 'none', reasoningOpened, stop: ['STOP', 'aa'] } as const;
        const { reasoning, text: answer, stop } = parse(pieces, format);
        const whole = parse([text], format);
        expect({ reasoning, answer, stop }).toEqual({
          reasoning: whole.reasoning,
          answer: whole.text,
          stop: whole.stop,
        });
      }),
      { numRuns: 3000 },
    );
  });
});
