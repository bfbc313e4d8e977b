/** Anthropic's cache marks: `cache_control` on the request, a block or a tool. */
import { z } from 'zod';
import { optional } from './body-schema.ts';

const TTLS = ['5m', '1h'] as const;

/** How long a marked prompt is to be kept. */
export type CacheTtl = (typeof TTLS)[number];

export const CACHE_SECONDS: Readonly<Record<CacheTtl, number>> = { '5m': 300, '1h': 3600 };

/** The field as any part of a body may have it. */
export const cacheMark = {
  cache_control: optional(z.looseObject({ type: z.literal('ephemeral'), ttl: optional(z.enum(TTLS)) })),
};

interface Marked {
  readonly cache_control?: { readonly ttl?: CacheTtl | null | undefined } | null | undefined;
  /** Of messages, and of blocks that hold others. */
  readonly content?: unknown;
}

interface MarkedBody extends Marked {
  readonly system?: unknown;
  readonly tools?: readonly Marked[] | null | undefined;
  readonly messages: readonly Marked[];
}

/**
 * The longest of all marks' times; undefined without a mark. The whole prompt is kept for it: what stands behind a mark
 * is found again by its content, like everything else.
 */
export const cacheTtlOf = ({ cache_control, system, tools, messages }: MarkedBody): CacheTtl | undefined => {
  const marks = [{ cache_control }, { content: system }, ...(tools ?? []), ...messages].flatMap(ttlsOf);
  return marks.includes('1h') ? '1h' : marks[0];
};

/** @param part perhaps within a block that nobody checks, since it is skipped */
const ttlsOf = (part: Marked | string | null | undefined): CacheTtl[] => {
  if (typeof part !== 'object' || part === null) return [];
  const { cache_control: mark, content } = part;
  const inner = Array.isArray(content) ? (content as Marked[]).flatMap(ttlsOf) : [];
  return mark ? [mark.ttl ?? '5m', ...inner] : inner;
};
