/** A model whose answers are written in a file, for people who test their clients: its format and its vocabulary. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { ByteDefinition } from '../workers/tokenizer/definition.ts';
import { EngineError } from './errors.ts';
import type { ModelOutputOptions } from './output/model-output.ts';
import { TOOL_FORMAT_NAMES } from './output/tool-formats/index.ts';
import { byteDefinition, FIRST_SCRIPT_TOKEN, ScriptVocabulary } from './scripted-vocabulary.ts';

const TOKEN_ERROR = { error: 'must be a text, {"base64": …} or {"special": …}, not empty' };
const base64Token = z.strictObject({ base64: z.base64(TOKEN_ERROR).min(4, TOKEN_ERROR) });
const specialToken = z.strictObject({ special: z.string().min(1, TOKEN_ERROR) });
const delayMs = z.number().min(0).max(3_600_000);

const isPattern = (pattern: string): boolean => {
  try {
    new RegExp(pattern);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
};

const replySchema = z
  .strictObject({
    /** Regular expression on the text of the last input item; absent: always. */
    when: z.string().refine(isPattern, { error: 'must be a regular expression' }).optional(),
    /** Uses after which the rule no longer matches; absent: no limit. */
    times: z.int().min(0).optional(),
    prefillMsPerToken: delayMs.default(0),
    tokens: z.array(z.union([z.string().min(1, TOKEN_ERROR), base64Token, specialToken], TOKEN_ERROR)),
    interTokenMs: delayMs.default(0),
    failAfterTokens: z.int().min(0).optional(),
    finish: z.enum(['stop', 'length']).default('stop'),
  })
  .refine((reply) => reply.failAfterTokens === undefined || reply.failAfterTokens <= reply.tokens.length, {
    path: ['failAfterTokens'],
    error: 'must be at most the number of tokens',
  });

const isKnownIn =
  (specialTokens: object) =>
  (token: ReplyToken): boolean =>
    typeof token === 'string' || !('special' in token) || Object.hasOwn(specialTokens, token.special);

/** Every id below the highest takes room in each row of logits. */
const MAX_SPECIAL_ID = 1_048_575;

const scriptSchema = z
  .strictObject({
    contextLength: z.int().min(16).max(16_777_216).default(8192),
    reasoningFormat: z.enum(['none', 'think', 'think-preopened', 'harmony']).default('none'),
    toolFormat: z.enum(['none', ...TOOL_FORMAT_NAMES]).default('none'),
    /** Control tokens: the ids of their texts. */
    specialTokens: z.record(z.string().min(1), z.int().min(FIRST_SCRIPT_TOKEN).max(MAX_SPECIAL_ID)).default({}),
    loadMs: delayMs.default(0),
    replies: z.array(replySchema).min(1),
  })
  .refine(({ specialTokens }) => new Set(Object.values(specialTokens)).size === Object.keys(specialTokens).length, {
    path: ['specialTokens'],
    error: 'must give each text an id of its own',
  })
  .refine(({ specialTokens, replies }) => replies.every(({ tokens }) => tokens.every(isKnownIn(specialTokens))), {
    path: ['replies'],
    error: 'have a special token that is not one of specialTokens',
  });

type ReplyToken = z.infer<typeof replySchema>['tokens'][number];
type ScriptFile = z.infer<typeof scriptSchema>;

/** What the model says after a matching input. Token ids instead of texts. */
export interface ScriptedReply extends Omit<ScriptFile['replies'][number], 'tokens' | 'when'> {
  readonly when: RegExp | undefined;
  readonly tokenIds: readonly number[];
}

export interface Script extends Omit<ScriptFile, 'replies'> {
  readonly path: string;
  readonly replies: readonly ScriptedReply[];
  /** Bytes of every token id; control tokens have none. */
  readonly vocabulary: readonly Uint8Array[];
  readonly fingerprint: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

/**
 * Reads a script: JSON as the README describes it.
 * @throws EngineError model_not_found, model_file_invalid (with each bad field by name)
 */
export const readScript = async (path: string): Promise<Script> => {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new EngineError('model_not_found', `scripted:${path}: the file cannot be read`, {}, { cause });
  });
  return parseScript(text, path, Math.floor((await stat(path)).mtimeMs / 1000));
};

/** @throws EngineError model_file_invalid */
export const parseScript = (text: string, path: string, createdAt = 0): Script => {
  const parsed = scriptSchema.safeParse(parseJson(text, path), { reportInput: true });
  if (!parsed.success) {
    throw new EngineError(
      'model_file_invalid',
      `scripted:${path}: ${parsed.error.issues.map(describeIssue).join('; ')}`,
    );
  }
  const { replies, ...settings } = parsed.data;
  const vocabulary = new ScriptVocabulary(settings.specialTokens);
  const tokenId = (token: ReplyToken): number => {
    if (typeof token === 'string') return vocabulary.token(Buffer.from(token, 'utf8'));
    return 'special' in token
      ? vocabulary.special(token.special)
      : vocabulary.token(Buffer.from(token.base64, 'base64'));
  };
  return {
    ...settings,
    path,
    createdAt,
    replies: replies.map(({ tokens, when, ...reply }) => ({
      ...reply,
      when: when === undefined ? undefined : new RegExp(when),
      tokenIds: tokens.map(tokenId),
    })),
    vocabulary: vocabulary.toArray(),
    fingerprint: createHash('sha256').update(text).digest('hex').slice(0, 32),
  };
};

/** What the tokenizer needs to know of a script. */
export const scriptDefinition = ({ vocabulary, specialTokens, reasoningFormat }: Script): ByteDefinition =>
  byteDefinition({ vocabulary, specialTokens, opensReasoning: reasoningFormat === 'think-preopened' });

/** How the script's answers are written. */
export const scriptOutput = ({ reasoningFormat, toolFormat }: Script): Required<ModelOutputOptions> => ({
  reasoning: reasoningFormat === 'think-preopened' ? 'think' : reasoningFormat,
  toolFormat,
});

const parseJson = (text: string, path: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError('model_file_invalid', `scripted:${path}: not JSON: ${reason}`, {}, { cause });
  }
};

const describeIssue = (issue: z.core.$ZodIssue): string => {
  const name = issue.path.length > 0 ? issue.path.join('.') : 'the file';
  const value = issue.input === undefined ? '' : ` (found ${JSON.stringify(issue.input).slice(0, 80)})`;
  return `${name}: ${issue.message}${value}`;
};
