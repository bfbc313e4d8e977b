/** Prompts of a wanted length in tokens, each with a beginning of its own: no two share a KV block. */
import { ggufTokenizer } from '../src/runtime/weights/gguf-tokenizer.ts';
import { openModel } from '../src/runtime/weights/open-model.ts';
import { createTokenizer } from '../src/workers/tokenizer/tokenizer.ts';
import { mulberry32 } from './random-blocks.ts';

const WORDS = [
  ...['the', 'a', 'old', 'small', 'red', 'lamp', 'fox', 'bear', 'boat', 'moon', 'tree', 'bird', 'car', 'road', 'house'],
  ...['river', 'stone', 'child', 'garden', 'window', 'story', 'saw', 'found', 'took', 'gave', 'lost', 'made', 'heard'],
  ...['kept', 'left', 'met', 'in', 'on', 'under', 'near', 'with', 'and', 'but', 'so', 'then', 'when', 'one', 'two'],
] as const;

/** A text of common words with as many tokens as fit into `numTokens`, BOS counted; the same for the same seed. */
export type PromptText = (numTokens: number, seed: number) => string;

/** For a GGUF file's tokenizer. @throws EngineError as `openModel`; Error when the file has no tokenizer */
export const promptTexts = async (modelPath: string): Promise<PromptText> => {
  const file = await openModel(modelPath);
  const definition = ggufTokenizer(file);
  await file.close();
  if (definition === undefined) throw new Error(`${modelPath}: no tokenizer`);
  const tokenizer = createTokenizer(definition);
  const numBos = definition.addBos ? 1 : 0;
  return (numTokens, seed) => {
    const random = mulberry32(seed);
    const words = Array.from({ length: numTokens }, () => WORDS[Math.floor(random() * WORDS.length)]!);
    const textOf = (numWords: number): string => `${seed} ${words.slice(0, numWords).join(' ')}`;
    let [fits, tooMany] = [0, words.length + 1];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      const count = numBos + tokenizer.encode(textOf(middle), { parseSpecial: false }).length;
      if (count <= numTokens) fits = middle;
      else tooMany = middle;
    }
    return textOf(fits);
  };
};
