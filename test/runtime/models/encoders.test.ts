/** Encoders on the device against plain float64 loops, from GGUF files and from folders of the hub. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeModel } from '../../../src/runtime/check-model.ts';
import type { LoadOptions } from '../../../src/runtime/create-engine-options.ts';
import { normalize, withEnd } from '../../../src/runtime/embedding-input.ts';
import { loadEncoder } from '../../../src/runtime/load-encoder.ts';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { findEncoder } from '../../../src/runtime/models/index.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { openModel } from '../../../src/runtime/weights/open-model.ts';
import { createPrepare } from '../../../src/workers/prepare.ts';
import { seededRandom } from '../../support/random-weights.ts';
import {
  TINY_CONTEXT,
  TINY_VOCABULARY,
  type TinyEncoderOptions,
  writeTinyEncoder,
  writeTinyEncoderFolder,
} from '../../support/tiny-encoders.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'encoders-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const random = seededRandom(7);
const textOf = (length: number): Uint32Array =>
  Uint32Array.from({ length }, () => Math.floor(random() * TINY_VOCABULARY.length));
/** Short, odd, and as long as the context. */
const TEXTS = [1, 2, 3, 7, 16, 33, TINY_CONTEXT].map(textOf);

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [product, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    left += a[i]! ** 2;
    right += b[i]! ** 2;
  }
  return product / Math.sqrt(left * right);
};

const referenceOf = async (path: string): Promise<Float64Array[]> => {
  const file = await openModel(path);
  try {
    const architecture = findEncoder(file.string('general.architecture'))!;
    const config = architecture.readConfig(file);
    const embeddings: Float64Array[] = [];
    for (const text of TEXTS) embeddings.push(await architecture.reference(config, file, [...text]));
    return embeddings;
  } finally {
    await file.close();
  }
};

/** All texts in one step, and each alone. */
const embed = async (path: string, options: LoadOptions = {}) => {
  const { runner } = await loadEncoder(path, { activations: 'f32', checks: 'full', takesIdsOnly: true, ...options });
  try {
    const together = await runner.embed(TEXTS);
    const alone: Float32Array[] = [];
    for (const text of TEXTS) alone.push(...(await runner.embed([text])));
    return { together, alone };
  } finally {
    await runner.close();
  }
};

const expectNear = (actual: readonly Float32Array[], expected: readonly Float64Array[], bound: number): void => {
  for (const [index, embedding] of actual.entries()) {
    expect(1 - cosine(embedding, expected[index]!)).toBeLessThan(bound);
  }
};

const gguf = (architecture: 'bert' | 'nomic-bert', options: TinyEncoderOptions = {}): string => {
  const path = join(root, `${architecture}-${options.weights ?? 'F32'}-${options.poolingType ?? 1}.gguf`);
  writeTinyEncoder(path, architecture, options);
  return path;
};

const folder = (name: string): string => {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  return path;
};

describe.each(['bert', 'nomic-bert'] as const)('%s', (architecture) => {
  test.each(['F32', 'F16', 'Q8_0'] as const)('in %s agrees with the reference, together and alone', async (weights) => {
    const path = gguf(architecture, { weights });
    const expected = await referenceOf(path);
    const { together, alone } = await embed(path);
    expectNear(together, expected, 1e-9);
    expectNear(alone, expected, 1e-9);
  });

  test.each([2, 3])('pools as type %d says', async (poolingType) => {
    const path = gguf(architecture, { poolingType });
    const expected = await referenceOf(path);
    const { together } = await embed(path);
    expectNear(together, expected, 1e-9);
    const mean = await referenceOf(gguf(architecture));
    expect(cosine(expected.at(-1)!, mean.at(-1)!)).toBeLessThan(0.99);
  });

  test('keeps 0.9999 of the reference where activations are f16', async (context) => {
    const path = gguf(architecture);
    const half = await embed(path, { activations: 'f16' }).catch((error: Error) => {
      if (/no shader-f16/.test(error.message)) return context.skip('the adapter has no shader-f16');
      throw error;
    });
    expectNear(half.together, await referenceOf(path), 1e-4);
  });

  test.each(['', 'bert.'])('is the same model as a folder of the hub, names beginning with "%s"', async (prefix) => {
    const path = folder(`${architecture}${prefix}`);
    writeTinyEncoderFolder(path, architecture, { prefix });
    const expected = await referenceOf(gguf(architecture));
    const { together } = await embed(path);
    expectNear(together, expected, 1e-9);
    expect(await describeModel(path)).toMatchObject({ architecture, contextLength: TINY_CONTEXT, hasTokenizer: true });
  });

  test('pools as the folder of the hub says', async () => {
    const path = folder(`${architecture}-cls`);
    writeTinyEncoderFolder(path, architecture, { poolingMode: 'cls_token' });
    const { together } = await embed(path);
    expectNear(together, await referenceOf(gguf(architecture, { poolingType: 2 })), 1e-9);
  });
});

/** Of the tiny models; llama.cpp through node-llama-cpp 3.22.1 on the processor, whose GELU goes through a table of halves. */
interface PeerEmbedding {
  readonly architecture: 'bert' | 'nomic-bert';
  readonly poolingType: number;
  readonly text: string;
  readonly embedding: readonly number[];
}

test.each(
  JSON.parse(
    readFileSync(new URL('../../reference/llama-cpp-embeddings.json', import.meta.url), 'utf8'),
  ) as PeerEmbedding[],
)('$architecture with pooling $poolingType says of "$text" what llama.cpp says', async (peer) => {
  const file = await openModel(gguf(peer.architecture, { poolingType: peer.poolingType }));
  const architecture = findEncoder(peer.architecture)!;
  const definition = ggufTokenizer(file)!;
  const prompt = { kind: 'text', text: peer.text } as const;
  const ids = withEnd(createPrepare(definition)(prompt).tokenIds, prompt, definition.embeddingEndTokenId);
  const embedding = await architecture.reference(architecture.readConfig(file), file, [...ids]);
  await file.close();
  expect(1 - cosine(embedding, peer.embedding)).toBeLessThan(1e-6);
});

test('an encoder asked for logits says what it makes instead', async () => {
  await expect(loadModel(gguf('bert'), { takesIdsOnly: true })).rejects.toMatchObject({
    code: 'model_unsupported',
    message: expect.stringMatching(/"bert" is an encoder, which makes embeddings and no logits/) as string,
  });
});

test('weights converted while loading stay near', async () => {
  const path = gguf('bert');
  const { together } = await embed(path, { quantize: 'q8_0' });
  expectNear(together, await referenceOf(path), 1e-3);
});

describe('what would be computed wrongly is refused', () => {
  const refusal = async (path: string): Promise<string> => {
    const error = await embed(path).then(
      () => new Error('was accepted'),
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'model_unsupported' });
    return error.message;
  };

  test('other activations, positions and kinds of layers', async () => {
    const path = folder('changed');
    const changed = async (architecture: 'bert' | 'nomic-bert', changes: object) => {
      writeTinyEncoderFolder(path, architecture, { changes: changes as Record<string, unknown> });
      return refusal(path);
    };
    expect(await changed('bert', { hidden_act: 'relu' })).toMatch(/hidden_act is "relu"; supported: "gelu"/);
    expect(await changed('bert', { position_embedding_type: 'relative_key' })).toMatch(/position_embedding_type/);
    expect(await changed('nomic-bert', { prenorm: true })).toMatch(/prenorm is true/);
    expect(await changed('nomic-bert', { num_experts: 8 })).toMatch(/num_experts is 8/);
  });

  test('other pooling, and modules behind it', async () => {
    const path = folder('modules');
    writeTinyEncoderFolder(path, 'bert', { poolingMode: 'max_tokens' });
    writeFileSync(join(path, '1_Pooling', 'config.json'), '{"pooling_mode_max_tokens": true}');
    expect(await refusal(path)).toMatch(/pools by max_tokens; supported: one of mean_tokens, cls_token, lasttoken/);
    writeTinyEncoderFolder(path, 'bert');
    writeFileSync(join(path, 'modules.json'), '[{"type": "sentence_transformers.models.Dense"}]');
    expect(await refusal(path)).toMatch(/has sentence_transformers\.models\.Dense/);
    expect(await refusal(gguf('bert', { poolingType: 4 }))).toMatch(/a reranker/);
  });
});

test('an embedding is cut and brought to length 1; zeros stay, and what is no number is told', () => {
  const whole = normalize(Float32Array.of(3, 4, 12));
  expect([...whole].map((value) => Math.fround(value * 13))).toEqual([3, 4, 12]);
  expect([...normalize(Float32Array.of(3, 4, 12), 2)]).toEqual([Math.fround(0.6), Math.fround(0.8)]);
  expect([...normalize(new Float32Array(2))]).toEqual([0, 0]);
  expect(() => normalize(Float32Array.of(1, Number.NaN))).toThrow(/not a number/);
});
