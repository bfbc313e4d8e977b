/** The clients that the server is tried with, in exact versions, and where they lie. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../.peers', import.meta.url));

/**
 * Packages by folder. Of the AI SDK 6 and LangChain these are the newest versions that allow Node 20. The AI SDK 7 asks for
 * Node 22, yet what is used of it here runs on 20.
 */
const PEERS = {
  'ai-sdk-6': [
    'ai@6.0.322',
    '@ai-sdk/openai-compatible@2.0.87',
    '@ai-sdk/anthropic@3.0.137',
    '@ai-sdk/openai@3.0.141',
    'zod@4.6.7',
  ],
  'ai-sdk-7': [
    'ai@7.0.173',
    '@ai-sdk/openai-compatible@3.0.92',
    '@ai-sdk/anthropic@4.0.105',
    '@ai-sdk/openai@4.0.118',
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

/** The version of one of a peer's packages. */
export const peerVersion = (peer: Peer, name: string): string => {
  const spec = PEERS[peer].find((each) => splitName(each)[0] === name);
  if (spec === undefined) throw new Error(`${peer} has no ${name}`);
  return splitName(spec)[1];
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

/** What a package's `exports` say of a module, as deep as they say it. */
type Exported = string | { readonly import?: Exported; readonly default?: Exported };

const importPath = (exported: Exported | undefined): string | undefined =>
  typeof exported === 'string' ? exported : exported && importPath(exported.import ?? exported.default);

/**
 * A module of a peer: they have no types here.
 * @param part what follows the package's name: `./messages`
 */
export const importPeer = async <Module>(peer: Peer, name: string, part = '.'): Promise<Module> => {
  const folder = join(ROOT, peer, 'node_modules', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    exports: Readonly<Record<string, Exported>>;
  };
  const path = importPath(manifest.exports[part]);
  if (path === undefined) throw new Error(`${peer}: ${name} exports no ${part}`);
  return (await import(pathToFileURL(join(folder, path)).href)) as Module;
};

/** The folder of a peer's commands. */
export const peerCommands = (peer: Peer): string => join(ROOT, peer, 'node_modules/.bin');

export const peerCommand = (peer: Peer, name: string): string => join(peerCommands(peer), name);
