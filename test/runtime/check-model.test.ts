/** Whether a model can run, told from its first bytes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { requireModelName } from '../../src/hub/model-name.ts';
import { pullModel } from '../../src/hub/pull-model.ts';
import { describeModel, modelCheck } from '../../src/runtime/check-model.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { HubStandIn, IMPATIENT } from '../support/hub.ts';
import { TINY_CONFIG, writeShardedModel } from '../support/tiny-hugging-face.ts';

const whole = readFileSync(EMBEDDED_MODEL_PATH);
const FILE = { what: 'org/tiny/m.gguf', sizeBytes: whole.length, isWhole: true };

/** The same file with a string of its header replaced by one of the same length. */
const withText = (from: string, to: string): Buffer => {
  const changed = Buffer.from(whole);
  changed.write(to, changed.indexOf(from), 'latin1');
  return changed;
};

test('says what a model is without reading its weights', async () => {
  const facts = await describeModel(EMBEDDED_MODEL_PATH);
  expect(facts).toMatchObject({ hasTokenizer: true, hasChatTemplate: true });
  expect(facts.contextLength).toBeGreaterThan(0);
  expect(facts.numParameters).toBeGreaterThan(0);
  expect(facts.weightFormats.length).toBeGreaterThan(0);
});

test('asks for more until the header is whole, and for nothing after it', () => {
  const isEnough = (length: number): boolean => modelCheck.gguf(FILE, whole.subarray(0, length));
  expect(isEnough(0)).toBe(false);
  expect(isEnough(100)).toBe(false);
  expect(isEnough(whole.length)).toBe(true);
  let [few, enough] = [100, whole.length];
  while (enough - few > 1) {
    const middle = Math.floor((few + enough) / 2);
    if (isEnough(middle)) enough = middle;
    else few = middle;
  }
  // What follows the header are weights: they make up most of the file.
  expect(enough).toBeLessThan(whole.length / 2);
});

test('refuses an architecture that is not supported, and what is no GGUF file', () => {
  const architecture = /general\.architecture[\s\S]{12}(\w+)/.exec(whole.toString('latin1', 0, 4096))![1]!;
  const mammoth = withText(architecture, 'mammoth'.padEnd(architecture.length, 'x').slice(0, architecture.length));
  expect(() => modelCheck.gguf(FILE, mammoth)).toThrow(/org\/tiny\/m\.gguf: architecture "mammo.*supported: llama/);
  expect(() => modelCheck.gguf(FILE, Buffer.from('<!DOCTYPE html><html>'))).toThrow(/not a GGUF file/);
});

test('refuses a file that is shorter than its tensors need', () => {
  const sizeBytes = whole.length - 1000;
  expect(() => modelCheck.gguf({ ...FILE, sizeBytes }, whole.subarray(0, sizeBytes))).toThrow(/beyond the file's end/);
});

test('takes the first part of several by its metadata', () => {
  expect(modelCheck.gguf({ ...FILE, isWhole: false }, whole)).toBe(true);
});

test('refuses a config.json whose weights are quantized in a way that no kernel reads', () => {
  const check = (changes: object): void => modelCheck.config('org/x/config.json', { ...TINY_CONFIG, ...changes });
  check({});
  check({ quantization: { bits: 4, group_size: 64 } });
  check({ quantization_config: { quant_method: 'fp8' } });
  expect(() => check({ quantization_config: { quant_method: 'gptq', bits: 4 } })).toThrow(
    /^org\/x\/config\.json: the weights are quantized by "gptq"; supported/,
  );
  expect(() => check({ quantization: { bits: 3, group_size: 64 } })).toThrow(/quantized to 3 bits in groups of 64/);
});

test('understands a safetensors repository as the hub client lays it out', async () => {
  const hub = await HubStandIn.start();
  const folder = mkdtempSync(join(tmpdir(), 'firstlight-check-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeShardedModel(folder);
  for (const path of readdirSync(folder)) {
    hub.add('org/tiny', path, readFileSync(join(folder, path)), path.endsWith('.safetensors'));
  }
  const { path, format } = await pullModel({
    settings: hub.settings(),
    name: requireModelName('org/tiny'),
    check: modelCheck,
    patience: IMPATIENT,
  });
  expect(format).toBe('safetensors');
  expect(await describeModel(path)).toMatchObject({ architecture: 'llama', contextLength: 64, weightFormats: ['F32'] });
});

test('refuses a config.json whose model_type is not supported', () => {
  expect(() =>
    modelCheck.config('org/x/config.json', { model_type: 'roberta', architectures: ['RobertaModel'] }),
  ).toThrow(/org\/x\/config\.json: model_type is "roberta" \(RobertaModel\): an embedding model/);
  expect(() => modelCheck.config('org/x/config.json', [])).toThrow(/is no JSON object/);
});
