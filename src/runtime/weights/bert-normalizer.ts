/** What BERT's tokenizer does to text before it cuts it. Source: `BertNormalizer` of Hugging Face's tokenizers. */
import type { NormalizerStep } from '../../workers/tokenizer/definition.ts';

export interface BertNormalizerOptions {
  readonly cleansText: boolean;
  readonly lowercases: boolean;
  readonly stripsAccents: boolean;
}

export const bertNormalizer = ({ cleansText, lowercases, stripsAccents }: BertNormalizerOptions): NormalizerStep[] => [
  ...(cleansText
    ? [{ kind: 'replace', pattern: '(?![\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}]|\\ufffd', content: '' } as const]
    : []),
  ...(stripsAccents ? [{ kind: 'nfd' } as const, { kind: 'replace', pattern: '\\p{Mn}', content: '' } as const] : []),
  ...(lowercases ? [{ kind: 'lowercase' } as const] : []),
];
