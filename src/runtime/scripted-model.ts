/** A model whose answers are written in a file, for people who test their clients: its format and its vocabulary. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { ByteDefinition } from '../workers/tokenizer/definition.ts';
import { EngineError } from './errors.ts';

const TOKEN_ERROR = { error: 'must be a text or {"base64": …}, not empty' };
const base64Token = z.strictObject({ base64: z.base64(TOKEN_ERROR).min(4, TOKEN_ERROR) });
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
    tokens: z.array(z.union([z.string().min(1, TOKEN_ERROR), base64Token], TOKEN_ERROR)),
    interTokenMs: delayMs.default(0),
    failAfterTokens: z.int().min(0).optional(),
    finish: z.enum(['stop', 'length']).default('stop'),
  })
  .refine((reply) => reply.failAfterTokens === undefined || reply.failAfterTokens <= reply.tokens.length, {
    path: ['failAfterTokens'],
    error: 'must be at most the number of tokens',
  });

const scriptSchema = z.strictObject({
  contextLength: z.int().min(16).max(16_777_216).default(8192),
  reasoningFormat: z.enum(['none', 'think']).default('none'),
  toolFormat: z.enum(['none', 'hermes']).default('none'),
  loadMs: delayMs.default(0),
  replies: z.array(replySchema).min(1),
});

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

export const SCRIPT_ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

/** Ids 0 to 255 are the bytes; then come the role markers, end of sequence, and the script's own tokens. */
export const ROLE_TOKENS: Readonly<Record<(typeof SCRIPT_ROLES)[number], number>> = Object.freeze({
  system: 256,
  developer: 257,
  user: 258,
  assistant: 259,
  tool: 260,
});
export const END_OF_SEQUENCE = 261;
export const FIRST_SCRIPT_TOKEN = 262;

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
  const vocabulary = baseVocabulary();
  const ids = new Map<string, number>();
  const tokenId = (token: ScriptFile['replies'][number]['tokens'][number]): number => {
    const bytes = typeof token === 'string' ? Buffer.from(token, 'utf8') : Buffer.from(token.base64, 'base64');
    const name = bytes.toString('latin1');
    const known = ids.get(name);
    if (known !== undefined) return known;
    ids.set(name, vocabulary.length);
    return vocabulary.push(Uint8Array.from(bytes)) - 1;
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
    vocabulary,
    fingerprint: createHash('sha256').update(text).digest('hex').slice(0, 32),
  };
};

/** What the tokenizer needs to know of a script. */
export const scriptDefinition = (script: Script): ByteDefinition => ({
  model: 'bytes',
  endTokenIds: [END_OF_SEQUENCE],
  addBos: false,
  roleTokenIds: ROLE_TOKENS,
  extraTokens: script.vocabulary.slice(256),
});

const baseVocabulary = (): Uint8Array[] =>
  Array.from({ length: FIRST_SCRIPT_TOKEN }, (_, id) => (id < 256 ? Uint8Array.of(id) : new Uint8Array()));

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
