/** `firstlight logits`: every position's logits of one sequence, in a file others can compare with. */
import { open, readFile } from 'node:fs/promises';
import type { KvFormat } from '../kernels/kv-format.ts';
import { EngineError } from '../runtime/errors.ts';
import { computeLogits } from '../runtime/logits.ts';
import { withProgress } from './progress.ts';
import { localModel } from './pull.ts';

export interface LogitsCommand {
  readonly model: string;
  /** `1,2,3`, or the path of a file of little-endian i32 without a header. */
  readonly ids: string;
  readonly out: string;
  readonly chunk: number | undefined;
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: KvFormat;
  readonly adapter: string | undefined;
}

/** @throws EngineError as `computeLogits`; config_invalid for ids that cannot be read */
export const runLogits = async (command: LogitsCommand): Promise<void> => {
  const { model, out, activations, kvFormat, chunk, adapter } = command;
  const ids = await readIds(command.ids);
  const { path } = await localModel(model);
  const { logits, vocabularySize } = await withProgress(`computing logits of ${ids.length} tokens`, () =>
    computeLogits({
      modelPath: path,
      ids,
      activations,
      kvFormat,
      ...(chunk === undefined ? {} : { chunk }),
      ...(adapter === undefined ? {} : { adapter }),
    }),
  );
  await writeLogits(out, ids, vocabularySize, logits);
  console.error(
    `${out}: ${ids.length} positions × ${vocabularySize} logits (activations ${activations}, KV ${kvFormat})`,
  );
};

/** @throws EngineError config_invalid */
export const readIds = async (source: string): Promise<number[]> => {
  if (/^\s*\d+(\s*,\s*\d+)*\s*$/.test(source)) return source.split(',').map(Number);
  const bytes = await readFile(source).catch((cause: unknown) => {
    throw new EngineError(
      'config_invalid',
      `--ids: "${source}" is neither a list like 1,2,3 nor a file`,
      {},
      { cause },
    );
  });
  if (bytes.byteLength === 0 || bytes.byteLength % 4 !== 0) {
    throw new EngineError(
      'config_invalid',
      `--ids: ${source} has ${bytes.byteLength} bytes; allowed: 4 bytes an id, little-endian i32, at least one`,
    );
  }
  return Array.from({ length: bytes.byteLength / 4 }, (_, index) => bytes.readInt32LE(index * 4));
};

/** "LGT1", u32 n, u32 vocabularySize, i32 ids[n], f32 logits[n][vocabularySize], little-endian. */
export const writeLogits = async (
  path: string,
  ids: readonly number[],
  vocabularySize: number,
  logits: Float32Array,
): Promise<void> => {
  const head = Buffer.alloc(12 + ids.length * 4);
  head.write('LGT1', 'latin1');
  head.writeUInt32LE(ids.length, 4);
  head.writeUInt32LE(vocabularySize, 8);
  for (const [index, id] of ids.entries()) head.writeInt32LE(id, 12 + index * 4);
  const file = await open(path, 'w').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError('config_invalid', `--out: ${path} cannot be written: ${reason}`, {}, { cause });
  });
  try {
    await file.writeFile(head);
    await file.writeFile(littleEndian(logits));
  } finally {
    await file.close();
  }
};

const littleEndian = (values: Float32Array): Buffer => {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  return isLittleEndian ? bytes : Buffer.from(bytes).swap32();
};
