/** Every architecture that Firstlight loads. */
import { EngineError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { llama } from './llama.ts';

const ARCHITECTURES: readonly Architecture[] = [llama as Architecture];

/** @throws EngineError model_unsupported, naming what is supported */
export const findArchitecture = (name: string, path: string): Architecture => {
  const architecture = ARCHITECTURES.find((candidate) => candidate.name === name);
  if (architecture) return architecture;
  const supported = ARCHITECTURES.map((candidate) => candidate.name).join(', ');
  throw new EngineError(
    'model_unsupported',
    `${path}: architecture "${name}" is not supported; supported: ${supported}`,
  );
};
