import { describe, expect, test } from 'vitest';
import type { GenerationEvent, GenerationRequest, OutputConstraint } from '../../src/runtime/api.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { END_OF_SEQUENCE } from '../../src/runtime/scripted-vocabulary.ts';
import { textOf } from '../support/engine.ts';
import { idOf, type NoiseOptions, startNoise } from '../support/noise-engine.ts';

const start = (options: NoiseOptions = {}) => {
  const { ask, ...rest } = startNoise(options);
  const answer = (constraint: OutputConstraint | undefined, more: Partial<GenerationRequest> = {}) =>
    ask('Say something.', { ...(constraint ? { constraint } : {}), ...more });
  return { ...rest, answer };
};

const sampling = (more: object) => ({ sampling: { ...DEFAULT_SAMPLING, temperature: 1, ...more } });
const finishOf = (events: readonly GenerationEvent[]) => {
  const last = events.at(-1);
  if (last?.type !== 'finish') throw new Error('no finish');
  return last;
};
const DATE = '[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]';

/** Ways to sample that look at the device's choice, at its candidates, and at whole rows. */
const WAYS = [
  { temperature: 0 },
  { temperature: 1, seed: 7 },
  { temperature: 2, topK: 3, seed: 8 },
  { temperature: 1, topP: 0.2, seed: 9 },
  { temperature: 1, minP: 0.5, seed: 10 },
  { temperature: 0, repetitionPenalty: 1.5 },
  { temperature: 1, frequencyPenalty: 2, presencePenalty: 2, seed: 11 },
  { temperature: 1, logitBias: [[97, 100]] as const, seed: 12 },
  { temperature: 1, topLogprobs: 3, seed: 13 },
];

describe('an answer under a grammar', () => {
  test('is a sentence of it, however it is sampled', async () => {
    const { answer } = start();
    for (const way of WAYS) {
      const events = await answer({ kind: 'regex', pattern: DATE }, sampling(way));
      expect(textOf(events), JSON.stringify(way)).toMatch(new RegExp(`^${DATE}$`));
      expect(finishOf(events).reason).toBe('stop');
    }
  });

  test('is the same where masks take too long to wait for them', async () => {
    const masked = start();
    const lookedUp = start({ maxSlowMs: -1 });
    const constraints: readonly OutputConstraint[] = [
      { kind: 'regex', pattern: '[a-z ,.!]{40,90}' },
      { kind: 'grammar', ebnf: 'root ::= ("yes " | "no ") [^\\n]{30} "\\n" "The quick brown fox" [0-9]*' },
      { kind: 'json_object' },
    ];
    for (const way of WAYS) {
      for (const constraint of constraints) {
        const more = { ...sampling(way), maxTokens: 120 };
        const [one, other] = [await masked.answer(constraint, more), await lookedUp.answer(constraint, more)];
        expect(textOf(other), JSON.stringify({ way, constraint })).toBe(textOf(one));
        expect(finishOf(other)).toEqual(finishOf(one));
      }
    }
  });

  test('differs from seed to seed and not for one seed', async () => {
    const { answer } = start();
    const said = async (seed: number) => textOf(await answer({ kind: 'regex', pattern: DATE }, sampling({ seed })));
    const texts = await Promise.all([1, 2, 3, 4, 5, 1].map(said));
    expect(new Set(texts).size).toBe(5);
    expect(texts[5]).toBe(texts[0]);
  });

  test('is the same alone and beside others, free ones included', async () => {
    const { answer } = start();
    const requests: readonly Parameters<typeof answer>[] = [
      [{ kind: 'regex', pattern: DATE }, sampling({ seed: 3 })],
      [{ kind: 'grammar', ebnf: 'root ::= "yes" | "no" | "per" [a-z]+ "haps"' }, sampling({ seed: 4 })],
      [undefined, { ...sampling({ seed: 5 }), maxTokens: 30 }],
      [{ kind: 'regex', pattern: '(ab|cd){20}' }, sampling({ temperature: 0 })],
    ];
    const alone: string[] = [];
    for (const request of requests) alone.push(textOf(await answer(...request)));
    expect(alone[1]).toMatch(/^(yes|no|per[a-z]+haps)$/);
    const together = await Promise.all(requests.map((request) => answer(...request)));
    expect(together.map((events) => textOf(events))).toEqual(alone);
  });

  test('gives a text without alternatives in fewer steps than tokens', async () => {
    const { answer, engine, runner } = start();
    const fixed = 'The quick brown fox jumps over the lazy dog, twice: ';
    const events = await answer({ kind: 'regex', pattern: `${fixed}[0-9]{3}` });
    expect(textOf(events).slice(0, -3)).toBe(fixed);
    expect(finishOf(events).usage.completionTokens).toBeGreaterThan(fixed.length);
    expect(runner.numSteps).toBeLessThan(10);
    expect(engine.stats().completionTokens).toBe(finishOf(events).usage.completionTokens);
  });

  test('chooses every token itself where log-probabilities are asked for', async () => {
    const { answer } = start();
    const events = await answer({ kind: 'regex', pattern: 'banana[0-9]' }, sampling({ topLogprobs: 2, seed: 2 }));
    const logprobs = events.flatMap((event) => (event.type === 'text' ? (event.logprobs ?? []) : []));
    expect(Buffer.concat(logprobs.map(({ bytes }) => bytes)).toString()).toBe(textOf(events));
    expect(logprobs.every(({ logprob }) => logprob < 0 && Number.isFinite(logprob))).toBe(true);
  });

  test('ends where nothing can follow, also without a token that says so', async () => {
    const { answer } = start({ endTokenIds: [] });
    const events = await answer({ kind: 'regex', pattern: 'a[bc]d' });
    expect(textOf(events)).toMatch(/^a[bc]d$/);
    expect(finishOf(events).reason).toBe('stop');
  });

  test('stops at its limit of tokens, in the midst of forced ones too', async () => {
    const { answer } = start();
    const events = await answer({ kind: 'regex', pattern: 'abcdefghijklmnop[0-9]' }, { maxTokens: 5 });
    expect(textOf(events)).toBe('abcde');
    expect(finishOf(events)).toMatchObject({ reason: 'length', usage: { completionTokens: 5 } });
  });

  test('ends at a stop string within forced text', async () => {
    const { answer } = start();
    const events = await answer({ kind: 'regex', pattern: 'abcdefghijklmnop[0-9]' }, { stop: ['fg'] });
    expect(textOf(events)).toBe('abcde');
    expect(finishOf(events)).toMatchObject({ reason: 'stop_sequence', stopSequence: 'fg' });
  });

  test('may be any text that its schema allows, and nothing else', async () => {
    const { answer } = start();
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 8 }, warm: { type: 'boolean' } },
      required: ['city', 'warm'],
      additionalProperties: false,
    };
    for (let seed = 0; seed < 10; seed++) {
      const events = await answer({ kind: 'json_schema', schema }, sampling({ seed }));
      const value: unknown = JSON.parse(textOf(events));
      expect(Object.keys(value as object)).toEqual(['city', 'warm']);
      expect(typeof (value as { warm: unknown }).warm).toBe('boolean');
    }
  });

  test('is refused before it begins when the grammar cannot be compiled', async () => {
    const { answer, engine } = start();
    await expect(answer({ kind: 'grammar', ebnf: 'root ::= missing' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('"missing" is not defined'),
    });
    await expect(answer({ kind: 'regex', pattern: '(a' })).rejects.toMatchObject({ code: 'invalid_request' });
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, kvBlocksUsed: 0 });
    expect(textOf(await answer({ kind: 'regex', pattern: '[xy]' }))).toMatch(/^[xy]$/);
  });
});

describe('reasoning', () => {
  const liked = new Map([[idOf('</think>'), 3]]);

  test('stays free before a constrained answer', async () => {
    const { answer } = start({ reasoning: 'think', liked: new Map([...liked, [idOf('<think>'), 12]]) });
    const events = await answer({ kind: 'regex', pattern: DATE }, { ...sampling({ seed: 5 }), maxTokens: 1500 });
    expect(textOf(events, 'reasoning').length).toBeGreaterThan(0);
    expect(textOf(events)).toMatch(new RegExp(`^${DATE}$`));
  });

  test('closes when its budget is used up, and the answer follows', async () => {
    const never = new Map([
      [idOf('</think>'), -1e9],
      [END_OF_SEQUENCE, -1e9],
      [idOf('<think>'), 12],
    ]);
    const { answer } = start({ reasoning: 'think', liked: never });
    for (const constraint of [undefined, { kind: 'regex', pattern: DATE }] as const) {
      const events = await answer(constraint, { reasoningBudgetTokens: 20, maxTokens: 120 });
      const { usage } = finishOf(events);
      expect(usage.reasoningTokens).toBeGreaterThanOrEqual(20);
      expect(usage.reasoningTokens).toBeLessThanOrEqual(20 + '\n</think>\n\n'.length + 1);
      expect(textOf(events).length).toBeGreaterThan(0);
      if (constraint) expect(textOf(events)).toMatch(new RegExp(`^${DATE}$`));
    }
  });
});
