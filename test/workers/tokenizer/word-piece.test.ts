/** Texts as encoders read them, special tokens included, beside `@huggingface/tokenizers`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as Reference } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withEnd } from '../../../src/runtime/embedding-input.ts';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { readTokenizerJson } from '../../../src/runtime/weights/tokenizer-json.ts';
import { createPrepare } from '../../../src/workers/prepare.ts';
import type { TokenizerDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { CLS, SEP, tinyWordPiece, writeTinyEncoder, writeTinyEncoderFolder } from '../../support/tiny-encoders.ts';

let folder: string;
let fromGguf: TokenizerDefinition;
let fromJson: TokenizerDefinition;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'word-piece-'));
  writeTinyEncoder(join(folder, 'tiny.gguf'), 'bert');
  writeTinyEncoderFolder(folder, 'bert');
  const file = await openGguf(join(folder, 'tiny.gguf'));
  fromGguf = ggufTokenizer(file)!;
  await file.close();
  fromJson = (await readTokenizerJson(folder))!;
});
afterAll(() => rmSync(folder, { recursive: true }));

const reading = (definition: TokenizerDefinition) => {
  const prepare = createPrepare(definition);
  return (text: string): number[] => {
    const prompt = { kind: 'text', text } as const;
    return [...withEnd(prepare(prompt).tokenIds, prompt, definition.embeddingEndTokenId)];
  };
};

const words = fc.stringMatching(/^[ -~\u00e0-\u017f\u4e00-\u4e20\n\t]{0,60}$/);
const phrases = fc
  .array(
    fc.constantFrom('the', 'Quick', 'foxes', 'jumped', 'unlazy', 'DOGS', 'é', '漢字', '!?', '[MASK]', '\u0301', '  '),
  )
  .map((parts) => parts.join(' '));

test('a vocabulary reads texts as the reference does, from tokenizer.json and from a GGUF file', () => {
  const reference = new Reference(tinyWordPiece(), {});
  const [ofGguf, ofJson] = [reading(fromGguf), reading(fromJson)];
  const property = fc.property(fc.oneof(words, phrases), (text) => {
    const expected = reference.encode(text, { add_special_tokens: true }).ids;
    expect(ofJson(text)).toEqual(expected);
    expect(ofGguf(text)).toEqual(expected);
  });
  fc.assert(property, { seed: 2026, numRuns: 1500 });
});

test('an empty text is the two tokens around it', () => {
  expect(reading(fromGguf)('')).toEqual([CLS, SEP]);
  expect(reading(fromJson)('')).toEqual([CLS, SEP]);
});

test('older post-processors and settings name the end too', async () => {
  const write = (changes: object, settings: object = {}): Promise<TokenizerDefinition | undefined> => {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...tinyWordPiece(), ...changes }));
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
    return readTokenizerJson(folder);
  };
  const bert = { type: 'BertProcessing', sep: ['[SEP]', SEP], cls: ['[CLS]', CLS] };
  expect(await write({ post_processor: bert })).toMatchObject({
    bosTokenId: CLS,
    embeddingEndTokenId: SEP,
    addBos: true,
  });
  const settings = { add_eos_token: true, eos_token: '[MASK]' };
  expect(await write({ post_processor: null }, settings)).toMatchObject({ embeddingEndTokenId: 4 });
  expect(await write({ post_processor: null })).not.toHaveProperty('embeddingEndTokenId');
});
