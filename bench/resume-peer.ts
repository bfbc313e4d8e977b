/**
 * The peer's side of `bench/resume.ts`: cold prefill and saved state of llama.cpp, in processes of their own. `--part save`
 * computes each prompt and saves its state; `--part load` is what a restarted process does with the files.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withKvFolder } from './kv-folder.ts';
import { decode, openPeer, runApart } from './llama-cpp.ts';

const COMPARED_TOKENS = 4;
const CONTEXT_MARGIN = 64;
/** Two steps' worth, so that every kernel is compiled before a clock runs. */
const WARM_UP_CHARACTERS = 4000;

export interface PeerWork {
  readonly modelPath: string;
  readonly prompts: readonly string[];
  /** Of each prompt, as our server counts them. */
  readonly promptTokens: readonly number[];
  readonly rounds: number;
}

interface PartWork extends PeerWork {
  readonly folder: string;
}

interface SavedStates {
  readonly coldMs: readonly number[];
  readonly saveMs: readonly number[];
  readonly fileBytes: readonly number[];
  readonly tokens: readonly (readonly number[])[];
}

interface LoadedStates {
  /** By prompt, then by round. */
  readonly ttftMs: readonly (readonly number[])[];
  readonly loadMs: readonly (readonly number[])[];
  readonly tokens: readonly (readonly number[])[];
}

/** Of one prompt. */
export interface PeerResume {
  readonly coldMs: number;
  readonly saveMs: number;
  readonly fileBytes: number;
  /** One of each round: from the call that loads the file to the first token, and until it was loaded. */
  readonly ttftMs: readonly number[];
  readonly loadMs: readonly number[];
}

const statePath = ({ folder }: PartWork, index: number): string => join(folder, `state-${index}.bin`);

const openWarm = async (work: PartWork) => {
  const peer = await openPeer(work.modelPath, Math.max(...work.promptTokens) + CONTEXT_MARGIN);
  const prompts = work.prompts.map((prompt) => peer.tokenize(prompt));
  for (const [index, { length }] of prompts.entries()) {
    const ours = work.promptTokens[index];
    if (length !== ours) throw new Error(`prompt ${index}: the peer counts ${length} tokens, we ${ours}`);
  }
  const warmUp = peer.tokenize(work.prompts[0]!.slice(-WARM_UP_CHARACTERS));
  await decode(peer.sequence, warmUp, COMPARED_TOKENS);
  await peer.sequence.clearHistory();
  return { ...peer, prompts };
};

const save = async (work: PartWork): Promise<SavedStates> => {
  const { sequence, prompts } = await openWarm(work);
  const [coldMs, saveMs, fileBytes, tokens] = [[], [], [], []] as [number[], number[], number[], number[][]];
  for (const [index, prompt] of prompts.entries()) {
    await sequence.clearHistory();
    const start = performance.now();
    const answer = await decode(sequence, prompt, COMPARED_TOKENS);
    coldMs.push(answer.firstAt - start);
    tokens.push(answer.tokens);
    // What a restored sequence computes again, as our server does: the prompt's last token.
    await sequence.eraseContextTokenRanges([{ start: prompt.length - 1, end: sequence.nextTokenIndex }]);
    const saveStart = performance.now();
    await sequence.saveStateToFile(statePath(work, index));
    saveMs.push(performance.now() - saveStart);
    fileBytes.push(statSync(statePath(work, index)).size);
  }
  return { coldMs, saveMs, fileBytes, tokens };
};

const load = async (work: PartWork): Promise<LoadedStates> => {
  const { sequence, prompts } = await openWarm(work);
  const [ttftMs, loadMs] = [prompts.map(() => [] as number[]), prompts.map(() => [] as number[])];
  const tokens: number[][] = [];
  for (let round = -1; round < work.rounds; round++) {
    for (const [index, prompt] of prompts.entries()) {
      await sequence.clearHistory();
      const start = performance.now();
      await sequence.loadStateFromFile(statePath(work, index), { acceptRisk: true });
      const loaded = performance.now();
      const answer = await decode(sequence, prompt.slice(-1), COMPARED_TOKENS);
      tokens[index] = answer.tokens;
      if (round < 0) continue; // A round of warm-up: kernels for each length compile here.
      ttftMs[index]!.push(answer.firstAt - start);
      loadMs[index]!.push(loaded - start);
    }
  }
  return { ttftMs, loadMs, tokens };
};

/**
 * All prompts of a model in one go, since the peer compiles its shaders anew in every process.
 * @returns a result for each prompt
 * @throws Error when the peer counts other tokens than we do, or answers otherwise after a load than before
 */
export const measurePeer = (work: PeerWork): Promise<PeerResume[]> =>
  withKvFolder(async (folder) => {
    const run = <Output>(part: 'save' | 'load'): Output => {
      const partWork: PartWork = { ...work, folder: folder.path };
      return runApart<Output>(fileURLToPath(import.meta.url), ['--part', part, '--work', JSON.stringify(partWork)]);
    };
    const saved = run<SavedStates>('save');
    const loaded = run<LoadedStates>('load');
    return work.prompts.map((_, index) => {
      const [before, after] = [saved.tokens[index]!, loaded.tokens[index]!];
      if (before.join() !== after.join()) {
        throw new Error(`the peer went on with ${before}, after a load with ${after} (prompt ${index})`);
      }
      return {
        coldMs: saved.coldMs[index]!,
        saveMs: saved.saveMs[index]!,
        fileBytes: saved.fileBytes[index]!,
        ttftMs: loaded.ttftMs[index]!,
        loadMs: loaded.loadMs[index]!,
      };
    });
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { part: { type: 'string' }, work: { type: 'string' } } });
  const work: PartWork = JSON.parse(values.work ?? '');
  console.log(JSON.stringify(await (values.part === 'save' ? save(work) : load(work))));
  process.exit(0); // The peer keeps the process alive.
}
