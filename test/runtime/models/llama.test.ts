import { existsSync } from 'node:fs';
import { describe, test } from 'vitest';
import { testArchitecture } from '../../cases/architecture.ts';
import { readOracle } from '../../support/oracle.ts';
import { testData } from '../../support/test-data.ts';

const EMBEDDED = 'models/embedded/firstlight-tiny.gguf';
const EMBEDDED_LOGITS = 'models/embedded/golden.logits';

describe('llama', () => {
  let ran = 0;
  for (const name of ['llama3-q8_0', 'llama3-q4_0']) {
    const modelPath = testData(`oracles/${name}.gguf`);
    const logitsPath = testData(`oracles/${name}.logits`);
    if (modelPath === undefined || logitsPath === undefined) continue;
    ran++;
    describe(`${name}, f32`, () =>
      testArchitecture(() => ({
        modelPath,
        oracle: readOracle(logitsPath),
        options: { activations: 'f32', kvFormat: 'f32' },
        maxNmse: 1e-6,
        exactTop1: true,
      })));
    describe(`${name}, f16 KV`, () =>
      testArchitecture(() => ({
        modelPath,
        oracle: readOracle(logitsPath),
        options: { activations: 'f32', kvFormat: 'f16' },
        maxNmse: 5e-6,
        exactTop1: false,
      })));
    describe(`${name}, f16 activations and KV`, () =>
      testArchitecture(() => ({
        modelPath,
        oracle: readOracle(logitsPath),
        options: { activations: 'f16', kvFormat: 'f16' },
        maxNmse: 1e-4,
        exactTop1: false,
      })));
  }
  if (existsSync(EMBEDDED)) {
    describe('the embedded model, f32', () =>
      testArchitecture(() => ({
        modelPath: EMBEDDED,
        oracle: readOracle(EMBEDDED_LOGITS),
        options: { activations: 'f32', kvFormat: 'f32' },
        maxNmse: 1e-6,
        exactTop1: true,
      })));
  }
  test('counts its cases', () => console.log(`${ran} reference files and the embedded model`));
});
