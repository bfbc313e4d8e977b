import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { EngineError } from '../../../src/runtime/errors.ts';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { computeLogits, sequenceLogits } from '../../../src/runtime/logits.ts';
import { llama } from '../../../src/runtime/models/llama.ts';
import { openHuggingFace } from '../../../src/runtime/weights/hugging-face.ts';
import { mlxModel, writeModel } from '../../support/published-model.ts';
import { seededRandom } from '../../support/random-weights.ts';
import { safetensorsOf, writeConfig, writeShardedModel, writeTinyModel } from '../../support/tiny-hugging-face.ts';

let root: string;
let folder: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'hugging-face-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'model-'));
  writeTinyModel(folder);
});
afterAll(() => rmSync(root, { recursive: true }));

const refusal = async (): Promise<EngineError> => {
  const error = await openHuggingFace(folder).then(
    (file) => file.close().then(() => new Error('was accepted')),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
};

const logitsOf = async (path: string) => {
  const model = await loadModel(path, { activations: 'f32', kvFormat: 'f32', maxRows: 8 });
  try {
    return (await sequenceLogits(model.runner, [1, 2, 3, 4, 5], 5, 40)).logits;
  } finally {
    await model.runner.close();
  }
};

test('a model in two files behind an index computes what it does in one', async () => {
  const other = mkdtempSync(join(root, 'sharded-'));
  writeShardedModel(other);
  expect([...(await logitsOf(other))]).toEqual([...(await logitsOf(folder))]);
});

test('config.json becomes the keys and names that GGUF files have', async () => {
  writeConfig(folder, { rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: 5e5 }, rope_theta: undefined });
  const file = await openHuggingFace(folder);
  expect(llama.readConfig(file)).toMatchObject({
    headDim: 8,
    numKvHeads: 2,
    contextLength: 64,
    layers: [{ rope: { base: 5e5, layout: 'half', frequencyFactors: new Float64Array(4).fill(4) } }, {}],
  });
  expect(file.tensor('blk.1.ffn_down.weight')).toMatchObject({ rows: 32, columns: 64, type: 'F32' });
  await file.close();
});

test.each([
  [
    { model_type: 'roberta', architectures: ['RobertaModel'] },
    /"roberta" \(RobertaModel\): an embedding model.*supported: llama/,
  ],
  [{ model_type: 't5', architectures: ['T5ForConditionalGeneration'] }, /an encoder–decoder model/],
  [{ model_type: 'clip', architectures: ['CLIPModel'] }, /a vision model/],
  [{ model_type: 'mamba' }, /model_type is "mamba".*supported: llama, mistral/],
  [{ model_type: undefined }, /model_type is undefined/],
  [{ hidden_act: 'relu' }, /hidden_act is "relu"; supported: silu/],
  [{ rope_scaling: { rope_type: 'dynamic', factor: 2 } }, /rope_type is "dynamic"; supported: default, linear/],
  [{ quantization_config: { quant_method: 'awq' } }, /quantized by "awq"; supported in safetensors are F32/],
])('%o is refused with what was found and what is supported', async (changes, message) => {
  writeConfig(folder, changes);
  const error = await refusal();
  expect(error.code).toBe('model_unsupported');
  expect(error.message).toMatch(message);
  expect(error.message).toContain('config.json');
});

test('a folder without config.json, and one whose index names another folder, are refused', async () => {
  rmSync(join(folder, 'config.json'));
  expect((await refusal()).message).toMatch(/config\.json: missing/);
  writeConfig(folder);
  const index = { weight_map: { 'model.norm.weight': '../other.safetensors' } };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  expect((await refusal()).message).toMatch(
    /names "\.\.\/other\.safetensors", which is no safetensors file of this folder/,
  );
});

test('a download that was cut is refused with the tensor and the bytes', async () => {
  const whole = safetensorsOf();
  writeFileSync(join(folder, 'model.safetensors'), whole.subarray(0, whole.length - 1));
  expect((await refusal()).message).toMatch(/ends at byte \d+, the file at \d+: download it again/);
});

test('a tensor that is absent or of the wrong shape is refused by name', async () => {
  writeFileSync(
    join(folder, 'model.safetensors'),
    safetensorsOf((index) => index !== 5),
  );
  await expect(loadModel(folder)).rejects.toThrow(/tensor blk\.0\.attn_v\.weight is missing/);
  writeTinyModel(folder);
  writeConfig(folder, { intermediate_size: 48 });
  await expect(loadModel(folder)).rejects.toThrow(/ffn_gate\.weight is 64 × 32, the metadata asks for 48 × 32/);
});

test('answers every damaged file with an EngineError or a consistent directory', async () => {
  const path = join(folder, 'model.safetensors');
  const good = readFileSync(path);
  const headerEnd = 8 + Number(good.readBigUInt64LE(0));
  const config = readFileSync(join(folder, 'config.json'));
  let refused = 0;
  for (let seed = 1; seed <= 1500; seed++) {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random() * limit);
    const damage = (bytes: Buffer, end: number): Buffer => {
      const damaged = Buffer.from(bytes.subarray(0, random() < 0.2 ? below(bytes.length) : bytes.length));
      for (let change = below(4); change >= 0 && damaged.length > 0; change--) {
        damaged[below(Math.min(damaged.length, end))] = random() < 0.5 ? 0x30 + below(10) : below(256);
      }
      return damaged;
    };
    const isConfig = random() < 0.3;
    writeFileSync(path, isConfig ? good : damage(good, headerEnd));
    writeFileSync(join(folder, 'config.json'), isConfig ? damage(config, config.length) : config);
    try {
      const file = await openHuggingFace(folder);
      for (const tensor of file.tensors.values()) {
        expect((await file.readTensor(tensor)).byteLength).toBe(tensor.byteLength);
      }
      await file.close();
    } catch (error) {
      expect(error).toBeInstanceOf(EngineError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(300);
});

test('logits of given ids need no tokenizer, not even one that is read', async () => {
  writeFileSync(join(folder, 'tokenizer.model'), 'SentencePiece');
  await expect(logitsOf(folder)).rejects.toThrow(/tokenizer\.model is not read/);
  const { logits } = await computeLogits({ modelPath: folder, ids: [1, 2, 3], activations: 'f32', kvFormat: 'f32' });
  expect(logits).toHaveLength(3 * 40);
});

test('embedding models leave out the name around their layers, and say how they pool', async () => {
  const { config, plain } = mlxModel(32, 'F16');
  writeModel(folder, config, plain);
  const whole = await openHuggingFace(folder);
  const bare = Object.entries(plain).map(([name, tensor]) => [name.replace(/^model\./, ''), tensor]);
  writeModel(folder, config, Object.fromEntries(bare));
  mkdirSync(join(folder, '1_Pooling'));
  writeFileSync(join(folder, '1_Pooling', 'config.json'), '{"pooling_mode_lasttoken": true}');
  const file = await openHuggingFace(folder);
  expect([...file.tensors.keys()]).toEqual([...whole.tensors.keys()]);
  expect(file.number('llama.pooling_type')).toBe(3);
  await Promise.all([whole.close(), file.close()]);
});
