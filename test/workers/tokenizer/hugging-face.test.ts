/** Our tokenizers beside `@huggingface/tokenizers`: the same ids and the same text for whatever text comes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as Reference } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { readTokenizerJson } from '../../../src/runtime/weights/tokenizer-json.ts';
import type { VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { createTokenizer, type Tokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { publishedTokenizers } from '../../support/published-tokenizers.ts';
import { randomText } from '../../support/random-text.ts';
import { testData } from '../../support/test-data.ts';
import { tokenizerJson } from '../../support/tokenizer-json.ts';

type Json = Readonly<Record<string, unknown>>;

const published = publishedTokenizers();

/**
 * Where the reference package differs from the Rust library that it follows, and we do not (tried with tokenizers
 * 0.23.2, thousands of texts each).
 */
const WRONG_THERE: readonly { readonly names: RegExp; readonly texts: RegExp; readonly reason: string }[] = [
  {
    names: /^(gpt-2|roberta|falcon|starcoder|command-r|nfkc|embedded)$/,
    texts: /[\u0085\ufeff]/,
    reason: "ByteLevel's expression has JavaScript's \\s, with U+FEFF and without U+0085",
  },
  { names: /^(llama-bpe|qwen|gpt-4o)/, texts: /'ſ/, reason: '(?i:…) matches no letter beyond ASCII' },
  {
    names: /./,
    texts: /[\u0085\ufeff][\s\S]*<\|pad\|>|<\|pad\|>[\s\S]*[\u0085\ufeff]/,
    reason: 'so does trimming beside tokens',
  },
  {
    names: /^(deepseek-coder|starcoder|command-r)$/,
    texts: /[\p{Nl}\p{No}]/u,
    reason: 'Digits has decimal ones alone',
  },
  { names: /^falcon$/, texts: /\P{ASCII}/u, reason: 'steps after ByteLevel see letters, not the bytes written so' },
  { names: /^bert/, texts: /[\u{10000}-\u{10ffff}]/u, reason: 'Chinese characters beyond U+FFFF are not taken apart' },
];
/** Where we differ, knowingly. */
const OWN_LIMITS: readonly { readonly names: RegExp; readonly texts: RegExp; readonly reason: string }[] = [
  {
    names: /^unigram$/,
    texts: /<s>|<\/s>|<unk>/,
    reason: 'text is no special token, even if it is written as a piece',
  },
  { names: /^bert/, texts: /\u2581/, reason: 'GGUF files mark beginnings of words with U+2581, so a word has none' },
];

const isCompared = (name: string, text: string): boolean =>
  ![...WRONG_THERE, ...OWN_LIMITS].some(({ names, texts }) => names.test(name) && texts.test(text));

const open = async (json: Json): Promise<Tokenizer> => {
  const folder = mkdtempSync(join(tmpdir(), 'hugging-face-'));
  try {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
    return createTokenizer((await readTokenizerJson(folder))!);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const ADDED_EVERYWHERE = /^\s+$/;

/** The same vocabulary, where text cannot be a special token. */
const withoutSpecials = (json: Json): Json => ({
  ...json,
  added_tokens: (json.added_tokens as { content: string }[]).filter(({ content }) => ADDED_EVERYWHERE.test(content)),
});

const compare = (name: string, json: Json, own: Tokenizer, numRuns: number): number => {
  let cases = 0;
  for (const parseSpecial of [true, false]) {
    const reference = new Reference(parseSpecial ? json : withoutSpecials(json), {});
    const property = fc.property(randomText, (original) => {
      const text = original.toWellFormed();
      if (!isCompared(name, text)) return;
      cases++;
      const ids = [...own.encode(original, { parseSpecial })];
      expect(ids).toEqual(reference.encode(text, { add_special_tokens: false }).ids);
      // Models with WordPiece write no text.
      if (ids.length === 0 || name.startsWith('bert')) return;
      const decoded = reference.decode(ids, { clean_up_tokenization_spaces: false });
      const bytes = Buffer.concat(ids.map((id) => own.bytesOf(id)));
      expect(bytes.toString()).toBe(decoded);
    });
    fc.assert(property, { seed: 2026, numRuns });
  }
  return cases;
};

describe('made here', () => {
  for (const [name, json] of published) {
    test(`${name} gives the reference's ids and text`, async () => {
      expect(compare(name, json, await open(json), 150)).toBeGreaterThan(50);
    });
  }
});

/** Which of the published files' parts go with a vocabulary, and what its model says. */
const SENTENCEPIECE = { byte_fallback: true, fuse_unk: true, unk_token: '<unk>' };
const VOCABULARIES = [
  { name: 'embedded', parts: 'gpt-2', model: {} },
  { name: 'gpt-2', parts: 'gpt-2', model: {} },
  { name: 'llama-bpe', parts: 'llama-bpe', model: { ignore_merges: true } },
  { name: 'qwen2', parts: 'qwen2', model: {} },
  { name: 'llama-spm', parts: 'llama-2', model: SENTENCEPIECE },
  { name: 'phi-3', parts: 'llama-2', model: SENTENCEPIECE },
];
const EMBEDDED = new URL('../../../models/embedded/firstlight-tiny.gguf', import.meta.url).pathname;

describe('trained', () => {
  for (const { name, parts, model } of VOCABULARIES) {
    const path = name === 'embedded' ? EMBEDDED : testData(`tokenizers/${name}.gguf`);
    test.runIf(path)(`${name} gives the reference's ids and text`, async () => {
      const file = await openGguf(path!);
      const definition = ggufTokenizer(file) as VocabularyDefinition;
      await file.close();
      const { normalizer, pre_tokenizer, decoder } = published.get(parts)!;
      const json = tokenizerJson(definition, {
        normalizer,
        pre_tokenizer,
        decoder,
        post_processor: null,
        model,
      }) as Json;
      expect(compare(name, json, await open(json), 100)).toBeGreaterThan(100);
      // GGUF files do not say how text is normalized.
      if (normalizer === null || model === SENTENCEPIECE) compare(name, json, createTokenizer(definition), 100);
    });
  }
});

/** By the Rust library, with the vocabularies made here. */
describe('where the reference is wrong', () => {
  const piecesOf = async (name: string, text: string): Promise<string> => {
    const json = published.get(name)!;
    const tokens = new Reference(json, {});
    const ids = (await open(json)).encode(text, { parseSpecial: true });
    return Array.from(ids, (id) => tokens.id_to_token(id)).join('|');
  };
  test.each([
    ['falcon', 'ition² ﾊ½', 'i|tion|Â|²|Ġ|ï|¾|Ĭ|Â|½'],
    ['starcoder', 'a²Ⅷ½12', 'a|Â²|âħ§|Â|½|1|2'],
    ['gpt-2', "a\u0085'm\ufeff the", "a|Â|ħ|'|m|ï»¿|Ġthe"],
    ['llama-bpe', "'ſ漢字", "'|Å|¿|æ|¼|¢|å|Ń|Ĺ"],
    ['roberta', '\n the', 'Ġ|Ċ|Ġthe'],
    ['bert', '𠮷of字the\u{f5678}', '[UNK]|of|字|the'],
    ['llama-2 without bytes', 'the𐊘𐊘 \u{f5678}of', '▁the|<unk>|▁|<unk>|o|f'],
  ])('%s cuts %j as it should', async (name, text, pieces) => {
    expect(await piecesOf(name, text)).toBe(pieces);
  });
});
