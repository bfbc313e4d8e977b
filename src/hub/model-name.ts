/** The names of models on the hub: `ORG/NAME[:QUANT|:FILE][@REVISION]`. */
import { EngineError } from '../runtime/errors.ts';
import { quantizationLabel } from './quantization.ts';
import { isSafePath } from './safe-path.ts';

export interface ModelName {
  /** `ORG/NAME`. */
  readonly repository: string;
  /** As in files' names, in capitals: `Q4_K_M`. Absent: the best there is. */
  readonly quantization: string | undefined;
  /** A path in the repository, instead of a quantization. */
  readonly file: string | undefined;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

export const DEFAULT_REVISION = 'main';

const FORM = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/;
const REPOSITORY = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const REVISION = /^[\w][\w./-]*$/;
const QUANTIZATION = /^[A-Za-z][\w-]*$/;
const FILE = /\.gguf$/i;
const ANY_FILE = /\.(gguf|safetensors|json|bin)$/i;

/** Undefined for what cannot be such a name: paths mostly. */
export const parseModelName = (text: string): ModelName | undefined => {
  const [, repository = '', selector, revision = DEFAULT_REVISION] = FORM.exec(text) ?? [];
  if (!REPOSITORY.test(repository) || /--|\.\.|\.$/.test(repository) || ANY_FILE.test(repository)) return undefined;
  if (!REVISION.test(revision) || !isSafePath(revision)) return undefined;
  const parts = { repository, revision, quantization: undefined, file: undefined };
  if (selector === undefined) return parts;
  if (FILE.test(selector)) return isSafePath(selector) ? { ...parts, file: selector } : undefined;
  return QUANTIZATION.test(selector) ? { ...parts, quantization: quantizationLabel(selector) } : undefined;
};

/** @throws EngineError config_invalid for what is no such name */
export const requireModelName = (text: string): ModelName => {
  const name = parseModelName(text);
  if (name) return name;
  throw new EngineError(
    'config_invalid',
    `${JSON.stringify(text)} names no model on the hub; allowed: ORG/NAME, ORG/NAME:Q4_K_M or ORG/NAME:FILE.gguf, each with @REVISION or without`,
  );
};

/** The shortest text that `parseModelName` reads as `name`. */
export const formatModelName = ({ repository, quantization, file, revision }: ModelName): string => {
  const selector = file ?? quantization;
  return `${repository}${selector === undefined ? '' : `:${selector}`}${revision === DEFAULT_REVISION ? '' : `@${revision}`}`;
};
