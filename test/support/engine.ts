/** Engines over scripted models, and readers of their events. */
import { onTestFinished } from 'vitest';
import type { Engine, Generation, GenerationEvent, GenerationRequest, Prompt } from '../../src/runtime/api.ts';
import { LocalEngine } from '../../src/runtime/engine.ts';
import type { ClosableStore, EngineOptions } from '../../src/runtime/engine-parts.ts';
import type { Batch, ModelRunner } from '../../src/runtime/model-runner.ts';
import { modelOutput } from '../../src/runtime/output/model-output.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { parseScript, scriptDefinition, scriptOutput } from '../../src/runtime/scripted-model.ts';
import { ScriptedRunner, type ScriptedRunnerOptions } from '../../src/runtime/scripted-runner.ts';
import { inlineWorkers } from './inline-workers.ts';

export interface TestEngineOptions extends EngineOptions, Pick<ScriptedRunnerOptions, 'beforeToken'> {
  readonly numBlocks?: number;
  readonly store?: ClosableStore;
  /** Sees every batch before the runner does; may throw in its place. */
  readonly onForward?: (batch: Batch) => void | Promise<void>;
  /** Called before a runner is made again; may say how many blocks it has then. */
  readonly rebuild?: () => Promise<unknown>;
}

/** A real engine whose forward pass alone is a script; closed after the test. */
export const startEngine = async (script: object, options: TestEngineOptions = {}): Promise<Engine> => {
  const parsed = parseScript(JSON.stringify(script), 'test.json');
  const definition = scriptDefinition(parsed);
  const output = modelOutput(definition, scriptOutput(parsed));
  const { numBlocks = 256, store, onForward, beforeToken, rebuild, ...engineOptions } = options;
  const build = (blocks = numBlocks): ModelRunner => {
    const runner = new ScriptedRunner(parsed, {
      blockSize: 16,
      numBlocks: blocks,
      limits: { maxTokens: 512, maxSequences: 64, maxRows: 64 },
      ...(beforeToken ? { beforeToken } : {}),
    });
    const forward = runner.forward.bind(runner);
    runner.forward = async (batch) => {
      await onForward?.(batch);
      return forward(batch);
    };
    return runner;
  };
  const engine = new LocalEngine({
    runner: build(),
    model: {
      id: 'scripted',
      architecture: 'scripted',
      contextLength: parsed.contextLength,
      vocabularySize: parsed.vocabulary.length,
      hasChatTemplate: true,
      generates: true,
      fingerprint: parsed.fingerprint,
      createdAt: 0,
    },
    adapter: 'none',
    kvFormat: 'u32',
    output,
    workers: inlineWorkers(definition, parsed.vocabulary.length, [...output.tags.values()]),
    options: engineOptions,
    ...(store ? { store } : {}),
    rebuild: async () => {
      const blocks = await rebuild?.();
      return build(typeof blocks === 'number' ? blocks : numBlocks);
    },
  });
  onTestFinished(() => engine.close());
  return engine;
};

export const chat = (text: string): Prompt => ({
  kind: 'chat',
  messages: [{ role: 'user', content: text }],
  continueFinalMessage: false,
});

let nextRequest = 0;

export const request = (prompt: Prompt | string, more: Partial<GenerationRequest> = {}): GenerationRequest => ({
  id: `request ${nextRequest++}`,
  prompt: typeof prompt === 'string' ? chat(prompt) : prompt,
  stop: [],
  sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
  ...more,
});

export const generate = (
  engine: Engine,
  prompt: Prompt | string,
  more: Partial<GenerationRequest> = {},
  signal = new AbortController().signal,
): Promise<Generation> => engine.generate(request(prompt, more), signal);

export const collect = async (generation: Generation): Promise<GenerationEvent[]> => {
  const events: GenerationEvent[] = [];
  for await (const event of generation.events) events.push(event);
  return events;
};

export const textOf = (events: readonly GenerationEvent[], type: 'text' | 'reasoning' = 'text'): string =>
  events.map((event) => (event.type === type ? event.text : '')).join('');

export const ask = async (...parameters: Parameters<typeof generate>): Promise<GenerationEvent[]> =>
  collect(await generate(...parameters));

/** A gate that lets tokens pass one by one. */
export const gate = () => {
  const waiting: (() => void)[] = [];
  return {
    waiting,
    beforeToken: () => new Promise<void>((resolve) => waiting.push(resolve)),
    open: () => waiting.shift()?.(),
  };
};
