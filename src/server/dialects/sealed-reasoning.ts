/**
 * A thought in a form that nobody takes for text, for clients that send it back unread: OpenAI's `encrypted_content` of
 * reasoning items, and Anthropic's signature where the thought itself is omitted.
 */

/** Tells ours from what other servers made. The content is the client's own: there is nothing to hide from it. */
const PREFIX = 'firstlight1.';

export const sealReasoning = (text: string): string => PREFIX + Buffer.from(text).toString('base64url');

/** Undefined for what is absent, empty, or another server's. */
export const openReasoning = (content: string | null | undefined): string | undefined =>
  content?.startsWith(PREFIX) ? Buffer.from(content.slice(PREFIX.length), 'base64url').toString() : undefined;
