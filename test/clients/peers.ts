/** The clients that the server is tried with, in exact versions, and where they lie. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../.peers', import.meta.url));

/** Packages by folder. Of the AI SDK and LangChain these are the newest versions that allow Node 20. */
const PEERS = {
  'ai-sdk-6': [
    'ai@6.0.322',
    '@ai-sdk/openai-compatible@2.0.87',
    '@ai-sdk/anthropic@3.0.137',
    '@ai-sdk/openai@3.0.141',
    'zod@4.6.7',
  ],
  'langchain-1': ['@langchain/core@1.4.0', '@langchain/openai@1.5.8', '@langchain/anthropic@1.5.11', 'zod@4.6.7'],
  'claude-code-2.1.197': ['@anthropic-ai/claude-code@2.1.197'],
  'claude-code-2.1.329': ['@anthropic-ai/claude-code@2.1.329'],
  'codex-0.169.0': ['@openai/codex@0.169.0'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Peer = keyof typeof PEERS;

const splitName = (spec: string): [name: string, version: string] => {
  const at = spec.lastIndexOf('@');
  return [spec.slice(0, at), spec.slice(at + 1)];
};

const installedVersion = (peer: string, name: string): string | undefined => {
  const file = join(ROOT, peer, 'node_modules', name, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : undefined;
};

/** Installs what is missing or of another version. */
export const installPeers = (): void => {
  for (const [peer, specs] of Object.entries(PEERS)) {
    const isThere = specs.map(splitName).every(([name, version]) => installedVersion(peer, name) === version);
    if (isThere) continue;
    console.log(`installing ${specs.join(' ')} into .peers/${peer}`);
    const folder = join(ROOT, peer);
    mkdirSync(folder, { recursive: true });
    const flags = ['--no-save', '--no-audit', '--no-fund', '--prefix', folder];
    execFileSync('npm', ['install', ...flags, ...specs], { cwd: folder, stdio: 'inherit' });
  }
};

/** A module of a peer: they have no types here. */
export const importPeer = async <Module>(peer: Peer, path: string): Promise<Module> =>
  (await import(pathToFileURL(join(ROOT, peer, 'node_modules', path)).href)) as Module;

/** The folder of a peer's commands. */
export const peerCommands = (peer: Peer): string => join(ROOT, peer, 'node_modules/.bin');

export const peerCommand = (peer: Peer, name: string): string => join(peerCommands(peer), name);
