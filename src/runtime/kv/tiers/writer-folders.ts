/**
 * Who writes where in a cache directory. Each server has a folder of its own, `writer-0` or the next that nobody holds, and
 * takes over all that nobody holds; of the others' it reads what was there when it started. Locks keep the limit on bytes
 * true, no more than that: files never change, so two servers that took each other for dead would only miss blocks.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type FileSystem, reasonOf, systemCode } from './file-system.ts';

export interface WriterFolder {
  readonly name: string;
  readonly isOwned: boolean;
}

interface Holder {
  readonly pid: number;
  /** Of the process, as the system counts; '' where it does not tell. */
  readonly startedAt: string;
  readonly host: string;
}

const LOCK = 'lock';
const FOLDER = /^writer-(\d+)$/;
const MAX_FOLDERS = 64;
/** A holder on another machine, or in another container, shows that it lives by touching its lock more often than this. */
const STALE_MS = 60_000;
export const TOUCH_MS = 15_000;

const startOf = (pid: number): string => {
  try {
    // After the name, which may hold spaces, in the 22nd field.
    return (
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? ''
    );
  } catch {
    return '';
  }
};

export class WriterFolders {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #locks = new Set<string>();

  /** @param held folders that this process holds already: another thread had them before */
  constructor(directory: string, fs: FileSystem, held: readonly string[] = []) {
    this.#directory = directory;
    this.#fs = fs;
    for (const name of held) this.#locks.add(name);
  }

  /** Names of the folders that this process may write to. */
  get held(): readonly string[] {
    return [...this.#locks];
  }

  /** Folders that there are, after taking every one that nobody holds. Throws the system's error where none can be read. */
  takeAll(): WriterFolder[] {
    const names = this.#fs.readdirSync(this.#directory).filter((name) => FOLDER.test(name));
    return names.map((name) => ({ name, isOwned: this.#lock(name) }));
  }

  /** The folder to write to: one that is held, or a new one. Throws the system's error where that cannot be. */
  own(): string {
    for (const name of this.#locks) if (this.#exists(name)) return name;
    this.#locks.clear();
    this.#fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (let i = 0; i < MAX_FOLDERS; i++) {
      const name = `writer-${i}`;
      this.#fs.mkdirSync(join(this.#directory, name), { recursive: true, mode: 0o700 });
      if (this.#lock(name)) return name;
    }
    throw new Error(`${MAX_FOLDERS} servers already write to ${this.#directory}; give this one another directory`);
  }

  /** Shows that this process lives. */
  touch(): void {
    const now = new Date();
    for (const name of this.#locks) {
      try {
        this.#fs.utimesSync(this.#lockPath(name), now, now);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') this.#locks.delete(name);
      }
    }
  }

  release(): void {
    for (const name of this.#locks) {
      try {
        this.#fs.unlinkSync(this.#lockPath(name));
      } catch (error) {
        // A lock that stays is found to be a dead process's.
        if (systemCode(error) === '') throw error;
      }
    }
    this.#locks.clear();
  }

  #lock(name: string): boolean {
    if (this.#locks.has(name)) return true;
    const path = this.#lockPath(name);
    const me: Holder = { pid: process.pid, startedAt: startOf(process.pid), host: hostname() };
    for (const isRetry of [false, true]) {
      try {
        this.#fs.writeFileSync(path, JSON.stringify(me), { flag: 'wx', mode: 0o600 });
        this.#locks.add(name);
        return true;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') {
          if (['EACCES', 'EROFS', 'EPERM'].includes(systemCode(error))) return false;
          throw error;
        }
        if (isRetry || this.#isHeld(path)) return false;
        this.#fs.unlinkSync(path);
      }
    }
    return false;
  }

  #isHeld(path: string): boolean {
    let holder: Holder;
    try {
      holder = JSON.parse(this.#fs.readFileSync(path, 'utf8'));
    } catch (error) {
      // Half a lock is a process's that was killed, or one that is about to write the rest.
      if (!(error instanceof SyntaxError)) throw new Error(`the lock ${path} cannot be read: ${reasonOf(error)}`);
      return this.#wasTouched(path);
    }
    if (holder.host !== hostname()) return this.#wasTouched(path);
    try {
      process.kill(holder.pid, 0);
    } catch (error) {
      if (systemCode(error) === 'ESRCH') return false;
    }
    return startOf(holder.pid) === holder.startedAt;
  }

  /** In either direction: a clock may have been set back. */
  #wasTouched(path: string): boolean {
    return Math.abs(Date.now() - this.#fs.statSync(path).mtimeMs) < STALE_MS;
  }

  #exists(name: string): boolean {
    try {
      this.#fs.statSync(this.#lockPath(name));
      return true;
    } catch {
      return false;
    }
  }

  #lockPath(name: string): string {
    return join(this.#directory, name, LOCK);
  }
}
