/** Writes a GGUF file's tokenizer as the tokenizer.json that it was made from. */
import { TOKEN_TYPE, type VocabularyDefinition } from '../../src/workers/tokenizer/definition.ts';

const isAdded = (type: number | undefined): boolean => type === TOKEN_TYPE.control || type === TOKEN_TYPE.userDefined;

/** `parts`: what a vocabulary does not say, such as normalizer and pre_tokenizer. */
export const tokenizerJson = (
  { tokens, tokenTypes, merges, scores }: VocabularyDefinition,
  parts: { readonly model?: object } & Readonly<Record<string, unknown>>,
): object => ({
  version: '1.0',
  ...parts,
  added_tokens: tokens.flatMap((content, id) =>
    isAdded(tokenTypes[id]) || tokenTypes[id] === TOKEN_TYPE.unknown
      ? [
          {
            id,
            content,
            special: tokenTypes[id] !== TOKEN_TYPE.userDefined,
            normalized: false,
            single_word: false,
            lstrip: false,
            rstrip: false,
          },
        ]
      : [],
  ),
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: merges?.map((merge) => merge.split(' ')) ?? scoredMerges(tokens, tokenTypes, scores!),
    ...parts.model,
  },
});

/** All pairs of pieces that make a third, the most probable third first: as SentencePiece files are converted. */
const scoredMerges = (
  tokens: readonly string[],
  tokenTypes: readonly number[],
  scores: readonly number[],
): [string, string][] => {
  const ids = new Map(tokens.flatMap((token, id) => (tokenTypes[id] === TOKEN_TYPE.normal ? [[token, id]] : [])));
  const found: { left: string; right: string; score: number; order: number }[] = [];
  for (const [token, id] of ids) {
    for (let at = 1; at < token.length; at++) {
      const [left, right] = [token.slice(0, at), token.slice(at)];
      const [leftId, rightId] = [ids.get(left), ids.get(right)];
      if (leftId === undefined || rightId === undefined) continue;
      found.push({ left, right, score: scores[id]!, order: leftId * tokens.length + rightId });
    }
  }
  found.sort((a, b) => b.score - a.score || a.order - b.order);
  return found.map(({ left, right }) => [left, right]);
};
