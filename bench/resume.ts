/**
 * Time to first token of a prompt whose KV is nowhere (cold), on disk after a restart (warm), in host memory (hot) and in
 * the pool, over HTTP, beside llama.cpp's own saved state in the same run:
 *
 *     npx tsx bench/resume.ts [--shapes embedded,llama-15m,llama-110m] [--tokens 256,1024] [--type q8_0]
 *                             [--kv-format f16] [--rounds 2] [--no-peer] [--real-gpu] [--quick] [--record]
 *
 * The time runs to the first event with text. Greedy texts must be the same in every state, and usage must report the
 * tokens that the state has. The pool holds one such context, so each prompt drives out the one before; every server
 * answers an unrelated prompt before a clock runs. `--real-gpu`: also 1 B and 8 B shapes to 32K.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/cli/measure-model.ts';
import { EMBEDDED_MODEL_PATH } from '../src/runtime/config.ts';
import { type BlockCosts, measureBlockCosts } from './block-costs.ts';
import { installPeer, PEER_VERSION } from './llama-cpp.ts';
import { promptTexts } from './prompt-text.ts';
import { writeRandomGguf } from './random-gguf.ts';
import { SHAPES, type ShapeName } from './random-shapes.ts';
import { type Result, recordResults } from './report.ts';
import { measurePeer, type PeerResume } from './resume-peer.ts';
import { measureResume, type Resume } from './resume-states.ts';
import { measureStepCosts, type StepCosts } from './step-costs.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Of the embedded model; the longest prompt leaves room for an answer. */
const EMBEDDED = 'embedded';
/** Differences below this say nothing of a speed. */
const LEAST_RESTORE_MS = 1;
/** At most this many tokens for what tiers cost a step. */
const COST_TOKENS = 1024;
const EMBEDDED_TOKENS = [256, 1024, 3968];
const CONTEXT_LENGTH: Readonly<Partial<Record<ShapeName, number>>> = { 'llama-15m': 16_384 };
const TOKENS: Readonly<Record<string, readonly number[]>> = {
  [EMBEDDED]: EMBEDDED_TOKENS,
  'llama-15m': [256, 1024, 4096, 8192],
  'llama-110m': [256, 1024],
};
const REAL_GPU_SHAPES = ['llama-3.2-1b', 'llama-3.1-8b'];
const REAL_GPU_TOKENS = [4096, 8192, 16_384, 32_768];
const QUICK_TOKENS: Readonly<Record<string, readonly number[]>> = { 'llama-15m': [512] };

interface Model {
  readonly name: string;
  readonly path: string;
}

const modelOf = (shape: string, type: string): Model => {
  if (shape === EMBEDDED) return { name: 'embedded model', path: EMBEDDED_MODEL_PATH };
  if (!Object.hasOwn(SHAPES, shape))
    throw new Error(`no shape ${shape}; there are ${EMBEDDED}, ${Object.keys(SHAPES)}`);
  const published = SHAPES[shape as ShapeName];
  const contextLength = CONTEXT_LENGTH[shape as ShapeName] ?? published.contextLength;
  const path = `${root}.peers/models/${shape}-${contextLength}-${type}.gguf`;
  if (!existsSync(path)) writeRandomGguf(path, { ...published, contextLength }, type);
  return { name: `${shape} ${type}, random weights`, path };
};

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
const times = (ratio: number): string => `×${ratio.toFixed(ratio < 10 ? 1 : 0)}`;

const trafficFigures = (what: string, { blocks, loopMs }: Resume['saving']): string =>
  `${what} took ${loopMs.toFixed(1)} ms of the engine's loop for ${blocks} blocks (${(loopMs / blocks).toFixed(3)} ms each)`;

const figuresOf = (resume: Resume): string => {
  const { cold, warm, dropped, hot, pool } = resume;
  const restoreMs = warm.ms - pool.ms;
  const restoreSpeed =
    restoreMs < LEAST_RESTORE_MS
      ? 'as fast as from the pool, within the noise'
      : `read at ${(resume.bytesPerPrompt / 1024 ** 2 / (restoreMs / 1000)).toFixed(0)} MiB/s (warm beyond in-pool)`;
  return [
    `TTFT cold ${ms(cold.ms)} (median of ${cold.count})`,
    `warm ${ms(warm.ms)} (disk, new process, ${warm.cachedTokens} tokens cached; ${warm.count})`,
    ...(dropped ? [`${ms(dropped.ms)} with the files out of the page cache (${dropped.count})`] : []),
    `hot ${ms(hot.ms)} (host memory, ${hot.cachedTokens}; ${hot.count})`,
    `in pool ${ms(pool.ms)} (${pool.cachedTokens}; ${pool.count})`,
    `cold / warm ${times(cold.ms / warm.ms)} (the paper, other hardware: ×22 to ×136), cold / hot ${times(cold.ms / hot.ms)}`,
    `restoring alone (beyond in-pool): from disk ${ms(Math.max(0, restoreMs))}, from host memory ${ms(Math.max(0, hot.ms - pool.ms))}`,
    `${mib(resume.bytesPerPrompt)} of files a prompt, ${restoreSpeed}`,
    `a plain read of as many ${resume.cachedReadMibPerSecond.toFixed(0)} MiB/s` +
      (resume.droppedReadMibPerSecond === undefined
        ? ''
        : `, ${resume.droppedReadMibPerSecond.toFixed(0)} from the disk itself`),
    trafficFigures('saving while cold', resume.saving),
    trafficFigures('restoring from disk', resume.restoring),
    `server start ${ms(resume.startMs)} with an empty cache, ${ms(resume.restartMs)} with this one`,
  ].join('; ');
};

/** @param peers of this length's prompts */
const peerFiguresOf = (peers: readonly PeerResume[], resume: Resume): string => {
  const of = (read: (peer: PeerResume) => number | readonly number[]): number => percentile(peers.flatMap(read), 0.5);
  const [coldMs, warmMs] = [of((peer) => peer.coldMs), of((peer) => peer.ttftMs)];
  return [
    `llama.cpp TTFT cold ${ms(coldMs)}, warm ${ms(warmMs)} (new process, saved state in the page cache, no HTTP; ${times(coldMs / warmMs)})`,
    `load alone ${ms(of((peer) => peer.loadMs))} of these, ours ${ms(Math.max(0, resume.warm.ms - resume.pool.ms))} (warm beyond in-pool), save ${ms(of((peer) => peer.saveMs))}, ${mib(of((peer) => peer.fileBytes))}`,
    `ours beside it: cold ${ms(resume.cold.ms)}, ${times(coldMs / resume.cold.ms)} as fast; warm ${ms(resume.warm.ms)}, ${times(warmMs / resume.warm.ms)} as fast`,
  ].join('; ');
};

const stepFigures = (what: string, { ttftMs, interTokenMs }: StepCosts): string =>
  `${what} TTFT ${ms(ttftMs)}, inter-token ${interTokenMs.toFixed(2)} ms`;

const costFiguresOf = (costs: BlockCosts): string => {
  const cost = (what: string, { totalMs, loopMs }: BlockCosts['saveBlock']): string =>
    `${what} ${totalMs.toFixed(2)} ms, ${loopMs.toFixed(2)} of them in the step's path`;
  return [
    `${(costs.blockBytes / 1024).toFixed(0)} KiB a block of ${costs.blockSize} tokens, ${mib((costs.blockBytes / costs.blockSize) * 1024)} per 1K tokens`,
    `${cost('from the pool to host memory: a block', costs.saveBlock)}; ${cost('1K tokens', costs.saveThousand)}`,
    `${cost('back: a block', costs.loadBlock)}; ${cost('1K tokens', costs.loadThousand)}`,
  ].join('; ');
};

const options = {
  shapes: { type: 'string' },
  tokens: { type: 'string' },
  type: { type: 'string', default: 'q8_0' },
  'kv-format': { type: 'string', default: 'f16' },
  rounds: { type: 'string', default: '2' },
  'no-peer': { type: 'boolean', default: false },
  'real-gpu': { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  record: { type: 'boolean', default: false },
} as const;

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options });
  const allTokens = values.quick ? QUICK_TOKENS : TOKENS;
  const shapes = values.shapes?.split(',') ?? [
    ...Object.keys(allTokens),
    ...(values['real-gpu'] ? REAL_GPU_SHAPES : []),
  ];
  const tokensOf = (shape: string): readonly number[] =>
    values.tokens?.split(',').map(Number) ?? allTokens[shape] ?? REAL_GPU_TOKENS;
  const kvFormat = values['kv-format'];
  const plan = values.quick
    ? { numPrompts: 2, rounds: 1, restarts: 1 }
    : { numPrompts: 3, rounds: Number(values.rounds), restarts: Number(values.rounds) };
  if (!values['no-peer']) installPeer();
  const command = `npx tsx bench/resume.ts ${process.argv.slice(2).join(' ')}`.trim();
  for (const shape of shapes) {
    const model = modelOf(shape, values.type);
    const textOf = await promptTexts(model.path);
    const note = (what: string, figures: string, adapter: string): void => {
      const result: Result = { what: `${model.name}, KV ${kvFormat}; ${what}`, figures };
      console.log(`${result.what}: ${figures}\n`);
      if (values.record) recordResults('Resuming', [result], adapter, command);
    };
    let adapter = '';
    const resumes: Resume[] = [];
    const prompts: string[] = [];
    for (const numTokens of tokensOf(shape)) {
      const own = Array.from({ length: plan.numPrompts }, (_, seed) => textOf(numTokens, seed + 1));
      const resume = await measureResume({ modelPath: model.path, kvFormat, numTokens, prompts: own, ...plan });
      adapter = resume.adapter;
      note(`prompts of ${resume.promptTokens[0]} tokens`, figuresOf(resume), adapter);
      resumes.push(resume);
      prompts.push(...own);
    }
    if (!values['no-peer']) {
      const promptTokens = resumes.flatMap((resume) => resume.promptTokens);
      const peers = await measurePeer({ modelPath: model.path, prompts, promptTokens, rounds: plan.rounds });
      for (const [index, resume] of resumes.entries()) {
        const own = peers.slice(index * plan.numPrompts, (index + 1) * plan.numPrompts);
        const what = `prompts of ${resume.promptTokens[0]} tokens, beside node-llama-cpp ${PEER_VERSION} (Vulkan, KV f16)`;
        note(what, peerFiguresOf(own, resume), adapter);
      }
    }
    const costTokens = Math.min(COST_TOKENS, ...tokensOf(shape));
    const costPrompts = Array.from({ length: plan.numPrompts }, (_, seed) => textOf(costTokens, seed + 1));
    const costFlags = ['--model', model.path, '--kv-format', kvFormat];
    const { withTiers, without } = await measureStepCosts(costFlags, textOf(costTokens, 0), costPrompts);
    note(
      `prompts of ${costTokens} tokens that nothing has, 64 decoded, medians`,
      `${stepFigures('with tiers', withTiers)}; ${stepFigures('without', without)}`,
      adapter,
    );
    note('blocks between the pool and host memory', costFiguresOf(measureBlockCosts(model.path, kvFormat)), adapter);
  }
};

await main();
