/** Every reference file of the architectures that are built, against llama.cpp's logits. */
import { describe, test } from 'vitest';
import { testArchitecture } from '../../cases/architecture.ts';
import { readOracle } from '../../support/oracle.ts';
import { testData } from '../../support/test-data.ts';

const NAMES = [
  'llama3-q4_k_m',
  'llama3-q6_k',
  'qwen2-q8_0',
  'qwen2-q4_k_m',
  'qwen3-q8_0',
  'qwen3-q4_0',
  'phi3-q4_k_m',
  'gemma2-q8_0',
  'gemma3-q4_k_m',
  'qwen3moe-q4_k_m',
  'gptoss-mxfp4',
];

/** Folders of safetensors. */
const FOLDERS = ['llama3', 'qwen2', 'qwen3', 'phi3', 'gemma3'].map((family) => `${family}-f16-safetensors`);

let ran = 0;
for (const name of [...NAMES, ...FOLDERS]) {
  const isFolder = FOLDERS.includes(name);
  const modelPath = testData(isFolder ? `oracles/${name}` : `oracles/${name}.gguf`);
  const logitsPath = testData(isFolder ? `oracles/${name}/expected.logits` : `oracles/${name}.logits`);
  if (modelPath === undefined || logitsPath === undefined) continue;
  ran++;
  describe(name, () =>
    testArchitecture(() => ({
      modelPath,
      oracle: readOracle(logitsPath),
      options: { activations: 'f32', kvFormat: 'f32' },
      maxNmse: 1e-6,
      exactTop1: true,
    })),
  );
}
test('counts its cases', () => console.log(`${ran} reference files`));
