/** Which files of a repository are taken. */
import { expect, test } from 'vitest';
import { chooseModel } from '../../src/hub/choose-files.ts';
import { requireModelName } from '../../src/hub/model-name.ts';
import { quantizationOf } from '../../src/hub/quantization.ts';

const choose = (paths: readonly string[], selector = '') => {
  const files = paths.map((path) => ({ path, sizeBytes: 1 }));
  const { files: chosen, reason } = chooseModel(files, requireModelName(`org/name${selector}`));
  return { paths: chosen.map(({ path }) => path), reason };
};

const complaint = (paths: readonly string[], selector = ''): string => {
  try {
    return `chose ${choose(paths, selector).paths.join(', ')}`;
  } catch (error) {
    return (error as Error).message;
  }
};

test.each([
  ['Llama-3.2-1B-Instruct-Q4_K_M.gguf', 'Q4_K_M'],
  ['qwen2.5-0.5b-instruct-q4_k_m.gguf', 'Q4_K_M'],
  ['model.Q8_0.gguf', 'Q8_0'],
  ['Phi-3-mini-4k-instruct-fp16.gguf', 'F16'],
  ['m-BF16-00001-of-00002.gguf', 'BF16'],
  ['Q3_K_XL/m-UD-Q3_K_XL-00001-of-00003.gguf', 'UD-Q3_K_XL'],
  ['m-IQ4_XS.gguf', 'IQ4_XS'],
  ['m-IQ2_XXS.gguf', 'IQ2_XXS'],
  ['m.i1-Q4_0_4_8.gguf', 'Q4_0_4_8'],
  ['gpt-oss-20b-mxfp4.gguf', 'MXFP4'],
  ['m-TQ1_0.gguf', 'TQ1_0'],
  ['Q4_K_M/weights.gguf', 'Q4_K_M'],
  ['f16tastic.gguf', undefined],
  ['model.gguf', undefined],
])('reads the quantization in %s', (path, label) => {
  expect(quantizationOf(path)).toBe(label);
});

const MANY = ['IQ2_XXS', 'Q2_K', 'Q3_K_M', 'Q4_0', 'Q5_K_M', 'Q6_K', 'Q8_0', 'F16'].map((label) => `m-${label}.gguf`);

test.each([
  ['m-Q4_K_M.gguf', ['m-Q4_K_M.gguf', 'm-Q4_K_S.gguf', ...MANY]],
  ['m-Q4_K_S.gguf', ['m-Q4_K_S.gguf', ...MANY]],
  ['m-Q5_K_M.gguf', MANY],
  ['m-Q8_0.gguf', MANY.filter((path) => !path.includes('Q5'))],
  ['m-Q6_K.gguf', MANY.filter((path) => !/Q5|Q8/.test(path))],
  ['m-Q4_0.gguf', MANY.filter((path) => !/Q5|Q8|Q6/.test(path))],
  ['m-Q2_K.gguf', ['m-F32.gguf', 'm-Q2_K.gguf', 'm-IQ1_S.gguf']],
])('prefers %s', (expected, paths) => {
  expect(choose(paths).paths).toEqual([expected]);
  expect(choose(paths).reason).toContain(`preferred of ${paths.length}`);
});

test('takes no vision projector and no calibration data for a model', () => {
  const paths = ['mmproj-m-F16.gguf', 'm.imatrix.gguf', 'imatrix.gguf', 'm-mmproj-Q8_0.gguf', 'm-Q2_K.gguf'];
  expect(choose(paths)).toEqual({ paths: ['m-Q2_K.gguf'], reason: 'the only GGUF model there' });
  expect(complaint(paths, ':mmproj-m-F16.gguf')).toBe(
    'org/name: mmproj-m-F16.gguf is no model by itself; name one of Q2_K (as org/name:NAME)',
  );
});

const SPLIT = [2, 1, 3].map((part) => `Q8_0/m-Q8_0-0000${part}-of-00003.gguf`);

test('counts a split set as one, its parts in order', () => {
  const paths = [...SPLIT, 'm-F16.gguf'];
  expect(choose(paths).paths).toEqual(SPLIT.toSorted());
  expect(choose(paths, ':Q8_0').paths).toEqual(SPLIT.toSorted());
  expect(choose(paths, `:${SPLIT[0]}`).paths).toEqual(SPLIT.toSorted());
});

test('takes no set that lacks a part', () => {
  expect(choose([...SPLIT.slice(1), 'm-F16.gguf']).paths).toEqual(['m-F16.gguf']);
  expect(complaint(SPLIT.slice(1), `:${SPLIT[1]}`)).toContain('is part of a set that is not whole');
  expect(complaint(SPLIT.slice(1))).toContain('its GGUF files are no whole text model');
});

test('says what there is when what was asked for is not', () => {
  expect(complaint(['m-Q4_0.gguf', 'm-F16.gguf'], ':Q4_K')).toBe(
    'org/name: has no Q4_K; name one of Q4_0, F16 (as org/name:NAME)',
  );
  expect(complaint(['m-Q4_0.gguf'], ':x.gguf')).toBe(
    'org/name: has no file x.gguf; name one of Q4_0 (as org/name:NAME)',
  );
});

test('asks rather than guesses between equals', () => {
  const paths = ['a-Q4_0.gguf', 'b-Q4_0.gguf', 'a-F16.gguf'];
  const message = 'has 2 of Q4_0; name one of a-Q4_0.gguf, b-Q4_0.gguf (as org/name:NAME)';
  expect(complaint(paths, ':Q4_0')).toBe(`org/name: ${message}`);
  expect(complaint(paths)).toContain('of which none is to be preferred; name one of a-Q4_0.gguf, b-Q4_0.gguf');
  expect(complaint(['a.gguf', 'b.gguf'])).toContain('name one of a.gguf, b.gguf');
  expect(complaint(['a-IQ1_S.gguf', 'a-IQ2_S.gguf'])).toContain('name one of IQ1_S, IQ2_S');
});

test('takes the safetensors of the repository itself, by its index where there is one', () => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const rest = ['config.json', 'tokenizer.json', 'tokenizer.model', 'merges.txt'];
  const ignored = ['README.md', 'original/consolidated.safetensors', 'consolidated.safetensors', 'training_args.bin'];
  const index = 'model.safetensors.index.json';
  expect(choose([...ignored, ...shards, index, ...rest]).paths).toEqual([index, ...rest, ...shards]);
  expect(choose(['config.json', 'model.safetensors', 'model.fp16.safetensors']).paths).toEqual([
    'config.json',
    'model.safetensors',
  ]);
  expect(choose(['config.json', 'weights.safetensors']).reason).toBe('safetensors: there is no GGUF file');
  expect(complaint(['config.json', index, shards[0]!])).toContain('or are not all there');
});

test.each([
  [['adapter_config.json', 'adapter_model.safetensors'], 'it is an adapter (LoRA)'],
  [['config.json', 'pytorch_model.bin'], 'its weights are in another format'],
  [['model.safetensors'], 'its safetensors have no config.json beside them'],
  [['README.md'], 'it has no weights'],
])('says why there is nothing to run in %j', (paths, reason) => {
  expect(complaint(paths)).toContain(`org/name: ${reason}`);
  expect(complaint(paths)).toContain('Look for a repository named name-GGUF');
});
