/** Where a worker thread's code lies: beside its caller, as TypeScript in a checkout and as JavaScript in a build. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export interface ThreadEntry {
  readonly url: URL;
  /** For the thread alone: what lets Node run TypeScript, where it cannot by itself. */
  readonly execArgv: string[];
}

/**
 * @param moduleUrl the caller's `import.meta.url`
 * @param path of the thread's module, relative to the caller, without ending: `./worker`
 */
export const threadEntry = (moduleUrl: string, path: string): ThreadEntry => {
  const ending = moduleUrl.endsWith('.ts') ? '.ts' : '.js';
  const runsTypeScript = 'typescript' in process.features && process.features.typescript !== false;
  const needsLoader = ending === '.ts' && !runsTypeScript;
  const execArgv = needsLoader ? ['--import', loaderFor(moduleUrl)] : [];
  return { url: new URL(path + ending, moduleUrl), execArgv };
};

/** `--import tsx` by itself does nothing in a worker thread: there its hooks must be registered by a call. */
const loaderFor = (moduleUrl: string): string => {
  const tsx = pathToFileURL(createRequire(moduleUrl).resolve('tsx/package.json'));
  const api = new URL('./dist/esm/api/index.mjs', tsx).href;
  return `data:text/javascript,${encodeURIComponent(`import { register } from '${api}'; register();`)}`;
};
