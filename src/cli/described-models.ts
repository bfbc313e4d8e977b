/** What models' headers say of them, read once as long as their files stay as they are. */
import { stat } from 'node:fs/promises';
import { EngineError, toErrorRecord } from '../runtime/errors.ts';
import type { StoredModel } from '../server/model-store.ts';
import type { LocalFiles } from './local-files.ts';

type Facts = Pick<StoredModel, 'createdAt' | 'contextLength' | 'error'>;

interface Entry {
  /** Lengths and times of the model's files. */
  readonly stamp: string;
  readonly facts: Promise<Facts>;
}

export class DescribedModels {
  /** By path. */
  readonly #entries = new Map<string, Entry>();

  /** Never rejects: what cannot be read is an `error` among the facts. */
  async describe(model: LocalFiles): Promise<Facts> {
    const entries = await Promise.all(model.files.map(({ location }) => stat(location).catch(() => undefined)));
    const stamp = entries.map((entry) => (entry ? `${entry.size} ${entry.mtimeMs}` : 'gone')).join();
    const known = this.#entries.get(model.path);
    if (known?.stamp === stamp) return known.facts;
    const newestMs = Math.max(0, ...entries.map((entry) => entry?.mtimeMs ?? 0));
    // Requests that come meanwhile wait for the same reading.
    const facts = read(model, Math.floor(newestMs / 1000), () => this.#forget(model.path, stamp));
    this.#entries.set(model.path, { stamp, facts });
    return facts;
  }

  /** Forgets all models but these. */
  keepOnly(paths: readonly string[]): void {
    const kept = new Set(paths);
    for (const path of this.#entries.keys()) if (!kept.has(path)) this.#entries.delete(path);
  }

  #forget(path: string, stamp: string): void {
    if (this.#entries.get(path)?.stamp === stamp) this.#entries.delete(path);
  }
}

/** `onUnexpected`: the cause may pass, and should be looked for again. */
const read = async ({ name, path }: LocalFiles, createdAt: number, onUnexpected: () => void): Promise<Facts> => {
  try {
    // The kernels' formats come with it: imported when there is something to read.
    const { describeModel } = await import('../runtime/check-model.ts');
    const { contextLength } = await describeModel(path);
    return { createdAt, contextLength, error: undefined };
  } catch (error) {
    if (!(error instanceof EngineError)) onUnexpected();
    const record = toErrorRecord(error);
    // Clients know the model's name, and need not know where this machine keeps it.
    return {
      createdAt,
      contextLength: undefined,
      error: { ...record, message: record.message.replaceAll(path, name) },
    };
  }
};
