/** Sessions on disk: one small private file each, written behind the engine's back and never half. */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Session } from './session.ts';
import { decodeSession, encodeSession, type Seal } from './session-file.ts';

export interface SessionStoreOptions {
  /** Made when it is not there, readable by this user alone. */
  readonly directory: string;
  /** Waits until the device has what was written: then it outlives a loss of power, too. */
  readonly fsync: boolean;
  readonly seal?: Seal;
  /** Hears of what could not be read or written. Never told what a session is called or holds. */
  readonly onWarning: (message: string) => void;
}

const SUFFIX = '.session';
const TEMPORARY_SUFFIX = '.tmp';
/** What a server that was killed left behind; a younger one may belong to another server that is writing it. */
const STALE_MS = 600_000;
/** Files read at once at the start. */
const NUM_READERS = 16;

/** What one file is to become; changes that follow each other quickly become one. */
interface Pending {
  /** Undefined: the file goes. */
  wanted: Session | undefined;
  /** What is wanted is yet to be done. */
  isDirty: boolean;
  working: Promise<boolean>;
}

export class SessionStore {
  readonly #options: SessionStoreOptions;
  readonly #pending = new Map<string, Pending>();
  #numFailures = 0;

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  /** Sessions that could not be read, written or removed, since the start. */
  get numFailures(): number {
    return this.#numFailures;
  }

  /** Reads all sessions. What is damaged, or sealed with another key, is passed over with a warning. */
  async load(): Promise<Session[]> {
    const { directory } = this.#options;
    const names = await this.#attempt('read the sessions', async () => {
      await makePrivate(directory);
      return readdir(directory);
    });
    const sessions: Session[] = [];
    const waiting = [...(names ?? [])];
    const read = async (): Promise<void> => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        if (name.endsWith(SUFFIX)) sessions.push(...(await this.#read(name)));
        else if (name.endsWith(TEMPORARY_SUFFIX)) await this.#removeStale(name);
      }
    };
    await Promise.all(Array.from({ length: NUM_READERS }, read));
    return sessions;
  }

  /** Has the session written soon; states that follow each other quickly become one write. */
  write(session: Session): void {
    void this.flush(session);
  }

  /** Resolves when the session as it is now is on disk; false when it could not be written. */
  flush(session: Session): Promise<boolean> {
    return this.#change(fileName(session), session);
  }

  async remove(session: Session): Promise<void> {
    await this.#change(fileName(session), undefined);
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    await Promise.all([...this.#pending.values()].map(({ working }) => working));
  }

  #change(name: string, wanted: Session | undefined): Promise<boolean> {
    const pending = this.#pending.get(name);
    if (pending !== undefined) {
      Object.assign(pending, { wanted, isDirty: true });
      return pending.working;
    }
    const started: Pending = { wanted, isDirty: true, working: Promise.resolve(false) };
    this.#pending.set(name, started);
    started.working = this.#work(name, started);
    return started.working;
  }

  async #work(name: string, pending: Pending): Promise<boolean> {
    let isDone = false;
    while (pending.isDirty) {
      // Out of the step that caused it; what comes meanwhile is done with it.
      await nextTick();
      pending.isDirty = false;
      const { wanted } = pending;
      isDone = await (wanted === undefined ? this.#removeFile(name) : this.#writeSession(name, wanted));
    }
    this.#pending.delete(name);
    return isDone;
  }

  async #removeFile(name: string): Promise<boolean> {
    const removed = await this.#attempt('remove a session', async () => {
      await rm(join(this.#options.directory, name), { force: true });
      return true;
    });
    return removed ?? false;
  }

  async #writeSession(name: string, session: Session): Promise<boolean> {
    const states = session.timelines.map(({ state }) => state);
    const bytes = encodeSession(session, this.#options.seal);
    const written = await this.#attempt('write a session', () => this.#writeFile(name, bytes));
    if (written === undefined) return false;
    for (const timeline of session.timelines) {
      if (states.includes(timeline.state)) timeline.stored = timeline.state;
    }
    return true;
  }

  async #writeFile(name: string, bytes: Uint8Array): Promise<true> {
    const { directory, fsync } = this.#options;
    // Whoever cleans up under a running server takes the sessions, not the server.
    await makePrivate(directory);
    const temporary = join(directory, `${name}.${randomBytes(6).toString('hex')}${TEMPORARY_SUFFIX}`);
    let file: FileHandle | undefined;
    try {
      file = await open(temporary, 'wx', 0o600);
      await file.writeFile(bytes);
      if (fsync) await file.sync();
      await file.close();
      file = undefined;
      await rename(temporary, join(directory, name));
      if (fsync) await syncDirectory(directory);
      return true;
    } catch (error) {
      await file?.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #read(name: string): Promise<Session[]> {
    const path = join(this.#options.directory, name);
    // The file stays: the right key may come with the next start.
    const session = await this.#attempt(`use the session file ${name}`, async () => {
      const read = decodeSession(await readFile(path), this.#options.seal);
      if (fileName(read) !== name) throw new Error('it belongs to another session');
      return read;
    });
    return session === undefined ? [] : [session];
  }

  async #removeStale(name: string): Promise<void> {
    const path = join(this.#options.directory, name);
    await this.#attempt('remove what an earlier server left', async () => {
      if (Math.abs(Date.now() - (await stat(path)).mtimeMs) > STALE_MS) await rm(path, { force: true });
    });
  }

  async #attempt<Value>(what: string, work: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#numFailures++;
      this.#options.onWarning(`could not ${what}: ${reason}`);
      return undefined;
    }
  }
}

/** Digests alone: names of sessions may be anything, and are nobody else's business. */
const fileName = ({ head: { owner, id } }: Session): string =>
  createHash('sha256').update(`${owner}\0${id}`).digest('hex').slice(0, 40) + SUFFIX;

const makePrivate = async (directory: string): Promise<void> => {
  // Undefined: it was there.
  if ((await mkdir(directory, { recursive: true, mode: 0o700 })) === undefined) await chmod(directory, 0o700);
};

const syncDirectory = async (directory: string): Promise<void> => {
  // Windows opens no directories.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};
