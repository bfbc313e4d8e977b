import { describe, expect, test } from 'vitest';
import type { AnswerFormat } from '../../src/workers/grammar/answer-format.ts';
import { GrammarThreads } from '../../src/workers/grammar-threads.ts';
import type { Threads } from '../../src/workers/task.ts';
import type { GrammarStep, OpenGrammar } from '../../src/workers/worker.ts';

/** A thread that keeps formats waiting for as long as it is told to, and everything behind them. */
class SlowThread implements Threads {
  readonly opened: string[] = [];
  hasEnded = false;
  readonly #isHeld: (pattern: string) => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(isHeld: (pattern: string) => Promise<void>) {
    this.#isHeld = isHeld;
  }

  run(task: unknown, { name }: { name: string }): Promise<unknown> {
    const done = this.#last.then(() => this.#perform(task, name));
    this.#last = done;
    return done;
  }

  async destroy(): Promise<void> {
    this.hasEnded = true;
  }

  async #perform(task: unknown, name: string): Promise<unknown> {
    if (name === 'openGrammar' && task !== null) {
      const { format } = task as OpenGrammar;
      const pattern = format.type === 'regex' ? format.pattern : '';
      this.opened.push(pattern);
      await this.#isHeld(pattern);
    }
    if (name !== 'stepGrammars') return { value: { tokens: { mayEnd: false } } };
    const steps = task as readonly GrammarStep[];
    return { value: steps.map((step) => ({ value: { forced: [step.id] } })) };
  }
}

const start = (maxCompileMs?: number) => {
  const threads: SlowThread[] = [];
  const held = new Map<string, () => void>();
  const isHeld = async (pattern: string): Promise<void> => {
    if (pattern.startsWith('slow')) await new Promise<void>((resolve) => held.set(pattern, resolve));
  };
  const grammars = new GrammarThreads(() => {
    const thread = new SlowThread(isHeld);
    threads.push(thread);
    return thread;
  }, maxCompileMs);
  const open = (id: number, pattern: string) => {
    const format: AnswerFormat = { type: 'regex', pattern };
    return grammars.open({ id, format, jumps: true });
  };
  return { grammars, threads, open, release: (pattern: string) => held.get(pattern)!() };
};

describe('the threads that follow grammars', () => {
  test('are one for answers that come one after the other, whatever their formats', async () => {
    const { grammars, threads, open } = start();
    for (const [id, pattern] of ['a', 'b', 'a', 'c'].entries()) {
      await open(id, pattern);
      grammars.close(id);
    }
    expect(threads.map(({ opened }) => opened)).toEqual([['a', 'b', 'a', 'c']]);
  });

  test('let an answer go on while the format of another is compiled', async () => {
    const { grammars, threads, open, release } = start();
    await open(1, 'a');
    const slow = open(2, 'slow');
    expect(await grammars.advance(1, [7])).toEqual({ forced: [1] });
    release('slow');
    await slow;
    expect(await grammars.advance(2, [7])).toEqual({ forced: [2] });
    expect(threads.map(({ opened }) => opened)).toEqual([['a'], ['slow']]);
  });

  test('have a format that is known, or on its way, compiled once', async () => {
    const { threads, open, release } = start();
    await open(1, 'a');
    const slow = [open(2, 'slow'), open(3, 'slow')];
    await open(4, 'a');
    await expect.poll(() => threads[1]?.opened.length).toBe(1);
    release('slow');
    await expect.poll(() => threads[1]?.opened.length).toBe(2);
    release('slow');
    await Promise.all(slow);
    expect(threads.map(({ opened }) => opened)).toEqual([
      ['a', 'a'],
      ['slow', 'slow'],
    ]);
  });

  test('are three at most', async () => {
    const { threads, open } = start();
    for (const [id, pattern] of ['a', 'b', 'c', 'd', 'e'].entries()) await open(id, pattern);
    expect(threads.map(({ opened }) => opened.length).sort()).toEqual([1, 2, 2]);
  });

  test('give a format up that takes too long, and no answer but those beside it', async () => {
    const { grammars, threads, open } = start(20);
    await open(1, 'a');
    await expect(open(2, 'slow')).rejects.toMatchObject({ code: 'invalid_request', message: /to compile/ });
    expect(threads.map(({ hasEnded }) => hasEnded)).toEqual([false, true]);
    expect(await grammars.advance(1, [7])).toEqual({ forced: [1] });
    await expect(grammars.advance(2, [7])).rejects.toMatchObject({ code: 'internal' });
    await open(3, 'b');
    expect(await grammars.advance(3, [7])).toEqual({ forced: [3] });
    await grammars.destroy();
    expect(threads.every(({ hasEnded }) => hasEnded)).toBe(true);
  });
});
