/** The head of a harmony message: who speaks to whom, on which channel. */

export interface HarmonyHeader {
  readonly channel: 'analysis' | 'commentary' | 'final';
  /** Whom a call is for: `functions.NAME`, or the name alone. */
  readonly recipient: string | undefined;
}

const RECIPIENT = /to=([^\s<]+)/;
const CHANNEL = /^\s*(analysis|commentary|final)/;
const CONTENT_TYPE = /^\s*(json|code)?\s*/;
/** They receive what is no call. */
const PEOPLE = new Set(['assistant', 'user', 'all']);

/**
 * @param role what stands between `<|start|>` and `<|channel|>`
 * @param channel what stands between `<|channel|>` and `<|constrain|>` or `<|message|>`
 */
export const readHeader = (role: string, channel: string): HarmonyHeader => {
  const recipient = (RECIPIENT.exec(channel) ?? RECIPIENT.exec(role))?.[1];
  const isCall = recipient !== undefined && !PEOPLE.has(recipient);
  const name = CHANNEL.exec(channel.replace(RECIPIENT, ''))?.[1];
  return {
    channel: name === 'analysis' || name === 'commentary' ? name : 'final',
    recipient: isCall ? recipient : undefined,
  };
};

/** True while text outside a message may be the beginning of a head: the role, and a recipient. */
export const mayBeRole = (text: string): boolean => {
  const trimmed = text.trimStart();
  if ('assistant'.startsWith(trimmed)) return true;
  const rest = (trimmed.startsWith('assistant') ? trimmed.slice('assistant'.length) : trimmed).trimStart();
  // Whatever may be whole here, its beginnings may, too.
  return 'to='.startsWith(rest) || /^to=[\p{L}\p{N}\p{Cs}_.:/-]*(\s+(j|js|jso|json)?\s*)?$/u.test(rest);
};

const NAMED_ROLE = /^\s*(user|system|developer|tool|functions\.[\p{L}\p{N}_.:/-]+)\s*(to=[\p{L}\p{N}_.:/-]*)?\s*$/u;
const RECIPIENT_ALONE = /^\s*(assistant)?\s*to=functions[\p{L}\p{N}_.:/-]*\s*(json)?\s*$/u;

/** What a head without a message says beyond what heads say: it may be the answer itself. */
export const leftover = (hasStart: boolean, role: string, channel: string, contentType: string): string => {
  const isRole = hasStart ? mayBeRole(role) || NAMED_ROLE.test(role) : role.trim() === 'assistant';
  const rest = channel.replace(RECIPIENT, '').replace(CHANNEL, '').replace(CONTENT_TYPE, '');
  return (isRole || RECIPIENT_ALONE.test(role) ? '' : role) + rest + contentType.replace(CONTENT_TYPE, '');
};
