/**
 * What an answer must look like: plain values that cross to the thread which compiles them. The shapes are those of
 * xgrammar's structural tags. Source: `structural_tag.d.ts` of web-xgrammar 0.1.27.
 */

/** `begin`, then the content, then `end`; free text inside ends at the first `end`. */
export interface TagFormat {
  readonly type: 'tag';
  readonly begin: string;
  readonly content: AnswerFormat;
  readonly end: string;
}

export type AnswerFormat =
  | { readonly type: 'any_text' }
  | { readonly type: 'const_string'; readonly value: string }
  | {
      readonly type: 'json_schema';
      readonly json_schema: Readonly<Record<string, unknown>> | boolean;
      /** The request's field that the schema stands in, for errors. */
      readonly path?: string;
    }
  /** Its root rule is `root`. `path`: as above. */
  | { readonly type: 'grammar'; readonly grammar: string; readonly path?: string }
  | { readonly type: 'regex'; readonly pattern: string; readonly path?: string }
  | { readonly type: 'sequence' | 'or'; readonly elements: readonly AnswerFormat[] }
  | TagFormat
  /** Free text in which a trigger begins one of the tags. */
  | {
      readonly type: 'triggered_tags';
      readonly triggers: readonly string[];
      readonly tags: readonly TagFormat[];
      readonly at_least_one?: boolean;
      readonly stop_after_first?: boolean;
    }
  | {
      readonly type: 'tags_with_separator';
      readonly tags: readonly TagFormat[];
      readonly separator: string;
      readonly at_least_one?: boolean;
      readonly stop_after_first?: boolean;
    };

/** The formats that a format is made of. */
export const partsOf = (format: AnswerFormat): readonly AnswerFormat[] => {
  if ('elements' in format) return format.elements;
  if ('tags' in format) return format.tags;
  return 'content' in format ? [format.content] : [];
};

/** The format with its parts replaced. */
export const withParts = (format: AnswerFormat, replace: (part: AnswerFormat) => AnswerFormat): AnswerFormat => {
  const replaceTag = (tag: TagFormat): TagFormat => ({ ...tag, content: replace(tag.content) });
  if ('elements' in format) return { ...format, elements: format.elements.map(replace) };
  if ('tags' in format) return { ...format, tags: format.tags.map(replaceTag) };
  return 'content' in format ? replaceTag(format) : format;
};

/** Which of all tokens may come next. */
export interface AllowedTokens {
  /** [ceil(vocabularySize / 32)]: bit `id & 31` of word `id >> 5` is set for allowed tokens. Absent: all that are text are. */
  readonly mask?: Int32Array<ArrayBuffer>;
  /** Whether the answer may end here; the mask agrees. */
  readonly mayEnd: boolean;
}

/** Which of some tokens may come next; of others nothing is known. */
export interface AllowedAmong {
  readonly among: ReadonlySet<number>;
}

/** What an answer's grammar says of its next tokens. */
export interface Allowed {
  /** Absent: to work them out takes long here, so that tokens are better looked up; or nothing can follow. */
  readonly tokens?: AllowedTokens;
  /** What comes next whatever the logits say; the rest holds for what follows it. */
  readonly forced?: readonly number[];
  /** Nothing can follow, also where the vocabulary has no token to say so. */
  readonly isOver?: true;
}

export const isAllowed = (allowed: AllowedTokens | AllowedAmong, tokenId: number, isEnd: boolean): boolean => {
  if ('among' in allowed) return allowed.among.has(tokenId);
  const { mask, mayEnd } = allowed;
  if (mask === undefined) return mayEnd || !isEnd;
  return ((mask[tokenId >> 5] ?? 0) & (1 << (tokenId & 31))) !== 0;
};
