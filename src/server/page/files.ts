/** The chat page's files as built: a fixed table, so that no path of a request ever reaches the disk. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { EngineError } from '../../runtime/errors.ts';

export interface PageFile {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** Of its content, quoted as in the header. */
  readonly etag: string;
}

/** Below dist/; the page imports the client as any other program does. Neither has folders of its own. */
const FOLDERS = ['web', 'client'] as const;

/** Other files of these folders (declarations) are not served. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The same place seen from src/ and from dist/. */
const BUILT = new URL('../../../dist/', import.meta.url);

const readFile = (url: URL, contentType: string): PageFile => {
  const bytes = readFileSync(url);
  return { bytes, contentType, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
};

/**
 * By folder and name: `web/main.js`.
 * @throws EngineError internal where nothing has been built
 */
export const readPageFiles = (built: URL = BUILT): ReadonlyMap<string, PageFile> => {
  const files = new Map<string, PageFile>();
  for (const folder of FOLDERS) {
    for (const name of namesIn(new URL(`${folder}/`, built))) {
      const contentType = CONTENT_TYPES[extname(name)];
      if (contentType !== undefined)
        files.set(`${folder}/${name}`, readFile(new URL(`${folder}/${name}`, built), contentType));
    }
  }
  return files;
};

const namesIn = (folder: URL): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw new EngineError('internal', 'the chat page is not built: npm run build makes it', {}, { cause });
  }
};
