/** llama.cpp (npm: node-llama-cpp, Vulkan) as a peer: installed under .peers/, never as a dependency, run in processes of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const PEER_VERSION = '3.22.1';
const PEER_FOLDER = fileURLToPath(new URL('../.peers/node-llama-cpp', import.meta.url));
const BATCH_TOKENS = 512;

/** What is used of node-llama-cpp's interface. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    gpu: string | false;
    getGpuDeviceNames(): Promise<string[]>;
    loadModel(options: object): Promise<PeerModel>;
  }>;
}

interface PeerModel {
  readonly tokens: { readonly bos: number | null; readonly shouldPrependBosToken: boolean };
  tokenize(text: string): number[];
  createContext(options: object): Promise<{ getSequence(): PeerSequence }>;
}

interface PeerSequence {
  readonly nextTokenIndex: number;
  evaluate(tokens: number[], options: object): AsyncIterable<number>;
  clearHistory(): Promise<void>;
  eraseContextTokenRanges(ranges: readonly { start: number; end: number }[]): Promise<void>;
  saveStateToFile(path: string): Promise<{ fileSize: number }>;
  loadStateFromFile(path: string, risk: { acceptRisk: true }): Promise<void>;
}

export interface Peer {
  readonly adapter: string;
  readonly sequence: PeerSequence;
  /** As the model wants its prompts: with BOS where it has one. */
  tokenize(text: string): number[];
}

/** A model on the device with room for one sequence. */
export const openPeer = async (modelPath: string, contextSize: number): Promise<Peer> => {
  const entry = `${PEER_FOLDER}/node_modules/node-llama-cpp/dist/index.js`;
  const { getLlama }: NodeLlamaCpp = await import(pathToFileURL(entry).href);
  const llama = await getLlama({ gpu: 'vulkan', build: 'never', skipDownload: true, progressLogs: false });
  const model = await llama.loadModel({ modelPath, gpuLayers: 'max' });
  const context = await model.createContext({ contextSize, batchSize: BATCH_TOKENS, sequences: 1 });
  const { bos, shouldPrependBosToken } = model.tokens;
  return {
    adapter: `${(await llama.getGpuDeviceNames())[0]} (${llama.gpu})`,
    sequence: context.getSequence(),
    tokenize: (text) => [...(bos !== null && shouldPrependBosToken ? [bos] : []), ...model.tokenize(text)],
  };
};

/** The first `count` greedy tokens after a prompt, with the time of the first. */
export const decode = async (
  sequence: PeerSequence,
  prompt: number[],
  count: number,
): Promise<{ tokens: number[]; firstAt: number }> => {
  const tokens: number[] = [];
  let firstAt = 0;
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (tokens.push(token) === 1) firstAt = performance.now();
    if (tokens.length === count) break;
  }
  return { tokens, firstAt };
};

export const installPeer = (): void => {
  if (existsSync(`${PEER_FOLDER}/node_modules/node-llama-cpp/package.json`)) return;
  console.error(`installing node-llama-cpp ${PEER_VERSION} under .peers/`);
  const platform = `@node-llama-cpp/linux-x64`;
  const packages = ['node-llama-cpp', platform, `${platform}-vulkan`].map((name) => `${name}@${PEER_VERSION}`);
  const flags = ['--no-save', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...flags, '--prefix', PEER_FOLDER, ...packages], { stdio: ['ignore', 2, 2] });
};

/** Runs a script with these arguments in a process of its own. @returns the JSON of its last line */
export const runApart = <Output>(script: string, args: readonly string[]): Output => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', script, ...args],
    // llama.cpp ignores software devices unless one is named.
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, GGML_VK_VISIBLE_DEVICES: '0' } },
  );
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (status !== 0 || line === '') throw new Error(`${args.slice(0, 2).join(' ')} ended with status ${status}`);
  return JSON.parse(line) as Output;
};
