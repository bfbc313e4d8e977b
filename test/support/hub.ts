/** A hub on loopback that speaks the Hugging Face hub's HTTP API, keeps large files on another origin, and misbehaves. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Patience } from '../../src/hub/hub-client.ts';
import type { HubSettings } from '../../src/hub/settings.ts';

/** What one answer does instead of the right thing. */
export interface Fault {
  /** Answers with this status and no file. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Cuts the connection after so many bytes of the body. */
  readonly cutAfterBytes?: number;
  /** Another ETag, the hub's and the linked one. */
  readonly etag?: string;
  /** Flips the file's byte at this offset, if it is sent. */
  readonly corruptAt?: number;
  /** Sends so many bytes more than it should, without a length. */
  readonly extraBytes?: number;
  /** Sends so many bytes less, and says that this is the file's length. */
  readonly shortBytes?: number;
  /** Claims another Content-Range. */
  readonly contentRange?: string;
  readonly ignoresRange?: boolean;
  /** Says nothing, ever. */
  readonly isSilent?: boolean;
}

export interface SeenRequest {
  /** hub: the endpoint; store: the other origin, where large files lie. */
  readonly server: 'hub' | 'store';
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

interface StoredFile {
  content: Buffer;
  readonly isLarge: boolean;
}

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
export const gitHash = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

/** Bytes that no two offsets share by chance. */
export const noise = (length: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
};

/** Gives up soon, and waits next to nothing. */
export const IMPATIENT: Patience = { maxAttempts: 3, backoffMs: 1, maxWaitSeconds: 2, stallMs: 5000 };

export class HubStandIn {
  readonly requests: SeenRequest[] = [];
  /** As its users know it: `ORG/NAME` → path → file. */
  readonly #repositories = new Map<string, Map<string, StoredFile>>();
  readonly #faults = new Map<string, Fault[]>();
  readonly #servers: Server[] = [];
  #hubUrl = '';
  #storeUrl = '';
  readonly #sent: { readonly path: string; readonly range: string | undefined }[] = [];
  commit = 'c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff';
  /** What opens it; undefined: anybody. */
  token: string | undefined;
  /** A simple mirror lists names only, and no tree. */
  listsBlobs = true;
  /** Sizes that the listing claims, by path. */
  readonly claimedBytes = new Map<string, number>();

  /** The test's end stops it. */
  static async start(): Promise<HubStandIn> {
    const hub = new HubStandIn();
    hub.#hubUrl = await hub.#listen((request, response) => hub.#answerHub(request, response));
    hub.#storeUrl = await hub.#listen((request, response) => hub.#answerStore(request, response));
    onTestFinished(() => {
      for (const server of hub.#servers) {
        server.closeAllConnections();
        server.close();
      }
    });
    return hub;
  }

  get url(): string {
    return this.#hubUrl;
  }

  add(repository: string, path: string, content: Buffer | string, isLarge = path.endsWith('.gguf')): Buffer {
    const files = this.#repositories.get(repository) ?? new Map<string, StoredFile>();
    const bytes = Buffer.from(content);
    this.#repositories.set(repository, files.set(path, { content: bytes, isLarge }));
    return bytes;
  }

  /** The next requests for a file's bytes (or `api`: for listings; `head`: for its first look) meet these, one each. */
  fail(path: string, ...faults: Fault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** Settings with an empty cache of their own. */
  settings(changes: Partial<HubSettings> = {}): HubSettings {
    const cacheFolder = mkdtempSync(join(tmpdir(), 'firstlight-hub-'));
    onTestFinished(() => rmSync(cacheFolder, { recursive: true, force: true }));
    return { endpoint: this.url, cacheFolder, token: undefined, isOffline: false, ...changes };
  }

  /** Ranges asked of the server that has the bytes, in order. */
  rangesOf(path: string): string[] {
    const asked = this.#sent.filter((request) => request.path === path);
    return asked.flatMap(({ range }) => range?.replace('bytes=', '') ?? []);
  }

  /** Forgets all requests so far. */
  forget(): void {
    this.requests.length = 0;
    this.#sent.length = 0;
  }

  async #listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(answer);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #note(server: 'hub' | 'store', { method = '', url = '', headers }: IncomingMessage): URL {
    const { pathname } = new URL(url, this.#hubUrl);
    const { range, authorization } = headers;
    this.requests.push({ server, method, path: decodeURIComponent(pathname), range, authorization });
    return new URL(url, this.#hubUrl);
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = this.#note('hub', request);
    const path = decodeURIComponent(pathname);
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      const given = request.headers.authorization !== undefined;
      response.writeHead(401, given ? { 'x-error-message': 'Invalid token' } : { 'x-error-code': 'GatedRepo' }).end();
      return;
    }
    const [, listed, , revision] = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path) ?? [];
    if (listed !== undefined) {
      this.#answerListing(listed, revision!, path.includes('/tree/'), response);
      return;
    }
    const [, repository = '', , name = ''] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const file = this.#repositories.get(repository)?.get(name);
    if (!file) response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    else if (file.isLarge) this.#redirect(repository, name, file, response);
    else this.#send(name, file, gitHash(file.content), request, response);
  }

  #answerListing(repository: string, revision: string, isTree: boolean, response: ServerResponse): void {
    const fault = this.#faults.get('api')?.shift();
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const files = this.#repositories.get(repository);
    if (!files || (isTree && !this.listsBlobs)) {
      response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
      return;
    }
    if (!isTree && !['main', this.commit].includes(revision)) {
      response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
      return;
    }
    const siblings = [...files].map(([rfilename, { content, isLarge }]) => {
      const size = this.claimedBytes.get(rfilename) ?? content.length;
      if (!this.listsBlobs) return { rfilename };
      const lfs = isLarge ? { lfs: { sha256: sha256(content), size, pointerSize: 134 } } : {};
      return { rfilename, size, blobId: gitHash(content), ...lfs };
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id: repository, sha: this.commit, siblings }));
  }

  /** To the other origin, as for files in large storage. */
  #redirect(repository: string, name: string, { content }: StoredFile, response: ServerResponse): void {
    const fault = this.#faults.get(`link ${name}`)?.shift();
    response.writeHead(302, {
      location: `${this.#storeUrl}/${repository}/${encodeURIComponent(name)}?signature=1`,
      'x-linked-etag': `"${fault?.etag ?? sha256(content)}"`,
      'x-linked-size': String(content.length),
      'x-repo-commit': this.commit,
      etag: '"of the pointer"',
    });
    response.end();
  }

  #answerStore(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = this.#note('store', request);
    const [, repository = '', name = ''] = /^\/([^/]+\/[^/]+)\/(.+)$/.exec(pathname) ?? [];
    const path = decodeURIComponent(name);
    const file = this.#repositories.get(repository)?.get(path);
    if (file) this.#send(path, file, `store ${sha256(file.content)}`, request, response);
    else response.writeHead(404).end();
  }

  #send(path: string, { content }: StoredFile, etag: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = request.method === 'HEAD' ? undefined : this.#faults.get(path)?.shift();
    this.#sent.push({ path, range: request.headers.range });
    if (fault?.isSilent) return;
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const isPart = from !== undefined && to !== undefined && !fault?.ignoresRange;
    const start = isPart ? Number(from) : 0;
    const end = (isPart ? Math.min(Number(to) + 1, content.length) : content.length) - (fault?.shortBytes ?? 0);
    const body = Buffer.concat([content.subarray(start, end), Buffer.alloc(fault?.extraBytes ?? 0)]);
    const corrupt = (fault?.corruptAt ?? -1) - start;
    if (corrupt >= 0 && corrupt < body.length) body[corrupt]! ^= 1;
    response.writeHead(isPart ? 206 : 200, {
      etag: `"${fault?.etag ?? etag}"`,
      'accept-ranges': 'bytes',
      ...(fault?.extraBytes === undefined ? { 'content-length': body.length } : {}),
      ...(isPart ? { 'content-range': fault?.contentRange ?? `bytes ${start}-${end - 1}/${content.length}` } : {}),
      ...fault?.headers,
    });
    if (request.method === 'HEAD') response.end();
    else if (fault?.cutAfterBytes === undefined) response.end(body);
    else response.write(body.subarray(0, fault.cutAfterBytes), () => response.socket?.end());
  }
}
