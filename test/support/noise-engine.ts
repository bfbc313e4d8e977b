/** A real engine over a forward pass of noise: answers are well-formed only if something makes them so. */
import { onTestFinished } from 'vitest';
import type { GenerationEvent, GenerationRequest, Prompt } from '../../src/runtime/api.ts';
import { LocalEngine } from '../../src/runtime/engine.ts';
import type { ReasoningFormat } from '../../src/runtime/output/parser.ts';
import { TOOL_FORMATS, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { END_OF_SEQUENCE, FIRST_SCRIPT_TOKEN, ROLE_TOKENS } from '../../src/runtime/scripted-vocabulary.ts';
import type { ByteDefinition } from '../../src/workers/tokenizer/definition.ts';
import { collect, generate } from './engine.ts';
import { inlineWorkers } from './inline-workers.ts';
import { RandomRunner } from './random-runner.ts';

const WORDS = ['{"', '": ', '"}', 'an', 'ana', 'true', 'city', '</think>', '<think>', '\n\n', 'é'];
const NO_BYTES = new Uint8Array();

/** The token of a word, or the byte of a character. */
export const idOf = (text: string): number =>
  WORDS.includes(text) ? FIRST_SCRIPT_TOKEN + WORDS.indexOf(text) : text.charCodeAt(0);

export interface NoiseOptions {
  readonly reasoning?: ReasoningFormat;
  readonly toolFormat?: ToolFormatName;
  /** Added to the logits of these tokens. */
  readonly liked?: ReadonlyMap<number, number>;
  readonly endTokenIds?: readonly number[];
  /** Below 0: no mask is worked out before it is asked for. */
  readonly maxSlowMs?: number;
  /** Absent: noise alone. */
  readonly runner?: (vocabularySize: number, tagIds: ReadonlyMap<string, number>) => RandomRunner;
}

/** Tags of tool formats are tokens of their own here. */
export const startNoise = (options: NoiseOptions = {}) => {
  const {
    reasoning = 'none',
    toolFormat,
    liked,
    endTokenIds = [END_OF_SEQUENCE],
    runner: makeRunner,
    maxSlowMs,
  } = options;
  const tags = toolFormat === undefined ? [] : TOOL_FORMATS[toolFormat].tags;
  const firstTag = FIRST_SCRIPT_TOKEN + WORDS.length;
  const specialTokens = Object.fromEntries(tags.map((tag, index) => [tag, firstTag + index]));
  const definition: ByteDefinition = {
    model: 'bytes',
    endTokenIds: [...endTokenIds, ...ENDING_TAGS.flatMap((tag) => specialTokens[tag] ?? [])],
    addBos: false,
    roleTokenIds: ROLE_TOKENS,
    extraTokens: [
      ...Array.from({ length: FIRST_SCRIPT_TOKEN - 256 }, () => NO_BYTES),
      ...[...WORDS, ...tags].map((text) => Buffer.from(text)),
    ],
    specialTokens,
  };
  const vocabularySize = firstTag + tags.length;
  const tagIds = new Map(Object.entries(specialTokens));
  const runner = makeRunner?.(vocabularySize, tagIds) ?? new RandomRunner(vocabularySize, liked);
  const engine = new LocalEngine({
    runner,
    model: {
      id: 'noise',
      architecture: 'noise',
      contextLength: 4096,
      vocabularySize,
      hasChatTemplate: true,
      generates: true,
      fingerprint: 'noise',
      createdAt: 0,
    },
    adapter: 'none',
    kvFormat: 'u32',
    output: {
      reasoning,
      ...(toolFormat ? { toolFormat } : {}),
      tags: new Map(tags.map((tag, index) => [firstTag + index, tag])),
    },
    workers: inlineWorkers(definition, vocabularySize, tags, maxSlowMs === undefined ? {} : { maxSlowMs }),
    options: {},
    rebuild: () => Promise.reject(new Error('no device is lost here')),
  });
  onTestFinished(() => engine.close());
  const ask = async (prompt: Prompt | string, more: Partial<GenerationRequest> = {}): Promise<GenerationEvent[]> =>
    collect(
      await generate(engine, prompt, {
        maxTokens: 400,
        sampling: { ...DEFAULT_SAMPLING, temperature: 1, seed: 1 },
        ...more,
      }),
    );
  return { engine, runner, ask };
};

/** End the turn, as in gpt-oss. */
const ENDING_TAGS = ['<|return|>', '<|call|>'];
