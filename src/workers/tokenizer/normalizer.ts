/** Changes text before it is cut into words. */
import { charsmap } from './charsmap.ts';
import type { NormalizerStep } from './definition.ts';

type Change = (text: string) => string;

/** @throws EngineError model_file_invalid for compiled rules that are damaged */
export const normalizer = (steps: readonly NormalizerStep[]): Change => {
  const changes = steps.map(changeOf);
  return (text) => changes.reduce((changed, change) => change(changed), text);
};

const changeOf = (step: NormalizerStep): Change => {
  switch (step.kind) {
    case 'replace': {
      const expression = new RegExp(step.pattern, 'gu');
      return (text) => text.replace(expression, () => step.content);
    }
    case 'charsmap':
      return charsmap(step.bytes);
    case 'lowercase':
      return lowercase;
    default: {
      const form = step.kind.toUpperCase();
      return (text) => text.normalize(form);
    }
  }
};

/** Character by character: JavaScript's own writes a sigma at the end of a word in another way. */
const lowercase: Change = (text) =>
  text.includes('Σ') ? Array.from(text, (character) => character.toLowerCase()).join('') : text.toLowerCase();
