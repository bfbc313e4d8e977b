/**
 * Side by side with llama.cpp (npm: node-llama-cpp, Vulkan) on the same adapter and the same GGUF files, in one run:
 *
 *     npx tsx bench/peer.ts [--types f16,q8_0,q4_0] [--prompt-tokens 256] [--decode-tokens 32] [--rounds 3] [--record]
 *
 * The peer is installed under .peers/, never as a dependency. Its first run compiles its shaders, which takes minutes
 * on a software adapter; the warm-up before each measurement absorbs that. Each side runs in a process of its own,
 * one after the other, with the same work: prefill the prompt and make one token, then make `decode-tokens` more,
 * greedy. No prompt is seen twice, so no prefix cache helps.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/cli/measure-model.ts';
import { createEngine, DEFAULT_SAMPLING } from '../src/index.ts';
import { decode, installPeer, openPeer, PEER_VERSION, runApart } from './llama-cpp.ts';
import type { WeightType } from './random-blocks.ts';
import { writeRandomGguf } from './random-gguf.ts';
import { SHAPES, type ShapeName } from './random-shapes.ts';
import { recordResults } from './report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Work {
  readonly modelPath: string;
  readonly vocabularySize: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly rounds: number;
}

interface Side {
  readonly adapter: string;
  /** Medians over the rounds. */
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

/** When a prompt's first and last tokens were there, and how many there were. */
interface Timeline {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly tokens: number;
}

type Generate = (prompt: number[]) => Promise<Timeline>;

/** Ids without the control tokens; another prompt for every round. */
const promptOf = ({ promptTokens, vocabularySize }: Work, round: number): number[] =>
  Array.from({ length: promptTokens }, (_, index) => 259 + ((round * 104_729 + index * 7919) % (vocabularySize - 259)));

const measure = async (adapter: string, work: Work, generate: Generate): Promise<Side> => {
  const prefill: number[] = [];
  const decode: number[] = [];
  for (let round = -1; round < work.rounds; round++) {
    const start = performance.now();
    const { firstAt, lastAt, tokens } = await generate(promptOf(work, round + 1));
    if (tokens !== work.decodeTokens + 1) {
      throw new Error(`${adapter}: ${tokens} tokens came, ${work.decodeTokens + 1} were asked for`);
    }
    if (round < 0) continue; // The warm-up: kernels compile, memory is touched.
    prefill.push((1000 * work.promptTokens) / (firstAt - start));
    decode.push((1000 * work.decodeTokens) / (lastAt - firstAt));
  }
  return {
    adapter,
    prefillTokensPerSecond: percentile(prefill, 0.5),
    decodeTokensPerSecond: percentile(decode, 0.5),
  };
};

const runOurs = async (work: Work): Promise<Side> => {
  const engine = await createEngine({ model: work.modelPath });
  try {
    return await measure(engine.adapter, work, async (tokenIds) => {
      const { events } = await engine.generate(
        {
          id: 'bench',
          prompt: { kind: 'tokens', tokenIds },
          maxTokens: work.decodeTokens + 1,
          stop: [],
          sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
        },
        new AbortController().signal,
      );
      // A random model's tokens are seldom whole UTF-8, so text events say little: the start comes with the first token.
      let firstAt = 0;
      for await (const event of events) {
        if (event.type === 'start') firstAt = performance.now();
        if (event.type === 'finish')
          return { firstAt, lastAt: performance.now(), tokens: event.usage.completionTokens };
      }
      throw new Error('the answer ended without a finish');
    });
  } finally {
    await engine.close();
  }
};

const runPeer = async (work: Work): Promise<Side> => {
  const { adapter, sequence } = await openPeer(work.modelPath, work.promptTokens + work.decodeTokens + 8);
  return measure(adapter, work, async (prompt) => {
    await sequence.clearHistory();
    const { tokens, firstAt } = await decode(sequence, prompt, work.decodeTokens + 1);
    return { firstAt, lastAt: performance.now(), tokens: tokens.length };
  });
};

const runSide = (side: 'ours' | 'peer', work: Work): Side => {
  console.error(`${side}: ${work.modelPath.split('/').at(-1)}`);
  return runApart<Side>(fileURLToPath(import.meta.url), ['--side', side, '--work', JSON.stringify(work)]);
};

const speed = (value: number): string => value.toFixed(1);

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      shape: { type: 'string', default: 'llama-15m' },
      types: { type: 'string', default: 'f16,q8_0,q4_0' },
      'prompt-tokens': { type: 'string', default: '256' },
      'decode-tokens': { type: 'string', default: '32' },
      rounds: { type: 'string', default: '3' },
      record: { type: 'boolean', default: false },
      side: { type: 'string' },
      work: { type: 'string' },
    },
  });
  if (values.side !== undefined) {
    const work: Work = JSON.parse(values.work ?? '');
    console.log(JSON.stringify(await (values.side === 'ours' ? runOurs(work) : runPeer(work))));
    process.exit(0); // The peer keeps the process alive.
  }
  installPeer();
  const shape = values.shape as ShapeName;
  const promptTokens = Number(values['prompt-tokens']);
  const decodeTokens = Number(values['decode-tokens']);
  console.log('weights  side   prefill tok/s  decode tok/s');
  for (const type of values.types.split(',') as WeightType[]) {
    const modelPath = `${root}.peers/models/${shape}-${type}.gguf`;
    if (!existsSync(modelPath)) writeRandomGguf(modelPath, shape, type);
    const { vocabularySize } = SHAPES[shape];
    const work = { modelPath, vocabularySize, promptTokens, decodeTokens, rounds: Number(values.rounds) };
    const peer = runSide('peer', work);
    const ours = runSide('ours', work);
    const prefillRatio = ours.prefillTokensPerSecond / peer.prefillTokensPerSecond;
    const decodeRatio = ours.decodeTokensPerSecond / peer.decodeTokensPerSecond;
    for (const [side, { prefillTokensPerSecond, decodeTokensPerSecond }] of [
      ['peer', peer],
      ['ours', ours],
    ] as const) {
      console.log(
        `${type.padEnd(7)}  ${side}   ${speed(prefillTokensPerSecond).padStart(13)}  ${speed(decodeTokensPerSecond).padStart(12)}`,
      );
    }
    console.log(
      `${type.padEnd(7)}  ratio  ${prefillRatio.toFixed(2).padStart(13)}  ${decodeRatio.toFixed(2).padStart(12)}\n`,
    );
    if (!values.record) continue;
    const figures =
      `decode ${speed(ours.decodeTokensPerSecond)} tok/s, peer ${speed(peer.decodeTokensPerSecond)} (×${decodeRatio.toFixed(2)}); ` +
      `prefill ${speed(ours.prefillTokensPerSecond)} tok/s, peer ${speed(peer.prefillTokensPerSecond)} (×${prefillRatio.toFixed(2)})`;
    const what = `${shape} ${type}, random weights, ${promptTokens} prompt tokens, ${decodeTokens} decoded, one sequence, no cached prefix`;
    recordResults(
      `Against node-llama-cpp ${PEER_VERSION} (Vulkan)`,
      [{ what, figures }],
      ours.adapter,
      `npx tsx bench/peer.ts ${process.argv.slice(2).join(' ')}`.trim(),
    );
  }
};

await main();
