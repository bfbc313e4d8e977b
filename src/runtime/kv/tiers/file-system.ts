/** The few functions of `node:fs` that the disk tier uses: a test may put others in their place. */
import fs from 'node:fs';

export type FileSystem = Pick<
  typeof fs,
  | 'closeSync'
  | 'fstatSync'
  | 'fsync'
  | 'mkdirSync'
  | 'openSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'readvSync'
  | 'renameSync'
  | 'statSync'
  | 'unlinkSync'
  | 'utimesSync'
  | 'writeFileSync'
  | 'writevSync'
>;

export const nodeFileSystem: FileSystem = fs;

/** What the system calls it: ENOENT, ENOSPC; '' for what is no error of the system's. */
export const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Resolves when the file's or folder's content survives a loss of power. */
export const syncPath = async (fs: FileSystem, path: string): Promise<void> => {
  const fd = fs.openSync(path, 'r');
  try {
    await syncFile(fs, fd);
  } finally {
    fs.closeSync(fd);
  }
};

export const syncFile = (fs: FileSystem, fd: number): Promise<void> =>
  new Promise((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve())));

/** At most so many buffers go into one call of the system. */
const MAX_VECTORS = 512;

export const writeAll = (fs: FileSystem, fd: number, parts: readonly Uint8Array[]): void =>
  transferAll(parts, (vectors) => fs.writevSync(fd, vectors));

/** Fills the buffers from `position` on. @returns false when the file ends before */
export const readAll = (fs: FileSystem, fd: number, parts: readonly Uint8Array[], position: number): boolean => {
  let at = position;
  let isWhole = true;
  transferAll(parts, (vectors) => {
    const length = fs.readvSync(fd, vectors, at);
    at += length;
    isWhole = length > 0;
    return length;
  });
  return isWhole;
};

/** Repeats a call that may do less than it is asked to; ends when it does nothing. */
const transferAll = (parts: readonly Uint8Array[], transfer: (vectors: Uint8Array[]) => number): void => {
  let rest = parts.filter((part) => part.length > 0);
  while (rest.length > 0) {
    let done = transfer(rest.slice(0, MAX_VECTORS));
    if (done === 0) return;
    let whole = 0;
    while (whole < rest.length && done >= rest[whole]!.length) done -= rest[whole++]!.length;
    rest = rest.slice(whole);
    if (done > 0) rest[0] = rest[0]!.subarray(done);
  }
};
