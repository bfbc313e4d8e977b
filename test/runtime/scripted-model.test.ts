import { describe, expect, test } from 'vitest';
import { parseScript } from '../../src/runtime/scripted-model.ts';
import { END_OF_SEQUENCE, FIRST_SCRIPT_TOKEN } from '../../src/runtime/scripted-vocabulary.ts';

const parse = (file: unknown) => parseScript(typeof file === 'string' ? file : JSON.stringify(file), 'a.json');

describe('script file', () => {
  test('needs nothing but replies with tokens', () => {
    expect(parse({ replies: [{ tokens: [] }] })).toMatchObject({
      contextLength: 8192,
      reasoningFormat: 'none',
      toolFormat: 'none',
      loadMs: 0,
      replies: [{ prefillMsPerToken: 0, interTokenMs: 0, finish: 'stop' }],
    });
  });

  test('gives equal tokens one id, after the bytes and the markers', () => {
    const script = parse({
      replies: [{ tokens: ['a', 'bc', 'a'] }, { tokens: [{ base64: 'YmM=' }, { base64: '8J+Y' }] }],
    });
    expect(script.replies.map(({ tokenIds }) => tokenIds)).toEqual([
      [FIRST_SCRIPT_TOKEN, FIRST_SCRIPT_TOKEN + 1, FIRST_SCRIPT_TOKEN],
      [FIRST_SCRIPT_TOKEN + 1, FIRST_SCRIPT_TOKEN + 2],
    ]);
    expect(script.vocabulary.slice(FIRST_SCRIPT_TOKEN).map((bytes) => [...bytes])).toEqual([
      [97],
      [98, 99],
      [0xf0, 0x9f, 0x98],
    ]);
    expect([script.vocabulary[65], script.vocabulary[END_OF_SEQUENCE]]).toEqual([Uint8Array.of(65), Uint8Array.of()]);
  });

  test.each([
    ['{', /a\.json: not JSON/],
    [{}, /replies: /],
    [{ replies: [] }, /replies: /],
    [{ replies: [{}] }, /replies\.0\.tokens: /],
    [{ replies: [{ tokens: [''] }] }, /replies\.0\.tokens\.0: must be a text.*found ""/],
    [{ replies: [{ tokens: [{ base64: '***' }] }] }, /replies\.0\.tokens\.0/],
    [{ replies: [{ tokens: [], when: '(' }] }, /replies\.0\.when: must be a regular expression.*found "\("/],
    [{ replies: [{ tokens: [], times: -1 }] }, /replies\.0\.times: .*found -1/],
    [{ replies: [{ tokens: ['a'], failAfterTokens: 2 }] }, /replies\.0\.failAfterTokens: must be at most/],
    [{ replies: [{ tokens: [], finish: 'tool' }] }, /replies\.0\.finish: .*found "tool"/],
    [{ replies: [{ tokens: [] }], contextLength: 3 }, /contextLength: .*found 3/],
    [{ replies: [{ tokens: [] }], reasoningFormat: 'r1' }, /reasoningFormat: .*found "r1"/],
    [{ replies: [{ tokens: [] }], reply: 1 }, /reply/],
  ])('refuses %j by name', (file, message) => {
    expect(() => parse(file)).toThrow(message);
  });
});
