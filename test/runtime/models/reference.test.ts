/** The CPU's forward pass, against llama.cpp's logits: what doctor and other tests hold devices against. */
import { expect, test } from 'vitest';
import { findArchitecture } from '../../../src/runtime/models/index.ts';
import { openModel } from '../../../src/runtime/weights/open-model.ts';
import { nmse, readOracle } from '../../support/oracle.ts';
import { testData } from '../../support/test-data.ts';

const NAMES = [
  'llama3-q8_0',
  'qwen2-q8_0',
  'qwen3-q4_0',
  'qwen3moe-q4_k_m',
  'phi3-q4_k_m',
  'gemma2-q8_0',
  'gemma3-q4_k_m',
  'gptoss-mxfp4',
];

/** Beyond the windows of 16. */
const NUM_TOKENS = 24;

let ran = 0;
for (const name of NAMES) {
  const modelPath = testData(`oracles/${name}.gguf`);
  const logitsPath = testData(`oracles/${name}.logits`);
  if (modelPath === undefined || logitsPath === undefined) continue;
  ran++;
  test(`${name}: the CPU gives the reference logits`, async () => {
    const oracle = readOracle(logitsPath);
    const ids = oracle.ids.slice(0, NUM_TOKENS);
    const file = await openModel(modelPath);
    const architecture = findArchitecture(file.string('general.architecture'), modelPath);
    const logits = await architecture.reference(architecture.readConfig(file), file, ids, 4096);
    await file.close();
    const expected = oracle.logits.subarray(0, ids.length * oracle.vocabularySize);
    // llama.cpp computes in F32, and GELU through a table of halves.
    expect(nmse(logits, expected)).toBeLessThan(name.startsWith('gemma') ? 2e-7 : 1e-9);
  });
}
test('counts its cases', () => console.log(`${ran} reference files`));
