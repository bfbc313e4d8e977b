/** Fits a conversation to what a chat template can say, without losing a word of it. */
import type { Role } from '../runtime/api.ts';
import type { TemplateToolCall } from './tool-turns.ts';

/** A message as templates see it. */
export interface TemplateMessage {
  readonly role: Role;
  readonly content: string | null;
  readonly reasoning_content?: string;
  /** The reasoning, where a template wants it by this name. */
  readonly thinking?: string;
  readonly name?: string;
  readonly tool_calls?: readonly TemplateToolCall[];
  readonly tool_call_id?: string;
}

/** What a template was seen to render. */
export interface TemplateAbilities {
  readonly developer: boolean;
  /** A system message at the beginning. */
  readonly system: boolean;
  /** One further on. */
  readonly laterSystem: boolean;
  /** Two messages of one role after each other. */
  readonly repeatedRole: boolean;
}

const PARAGRAPH_BREAK = '\n\n';

/**
 * - `developer` becomes `system` where the template does not know it.
 * - System messages at the beginning become one where the template takes only one; where it takes none, that goes
 *   before the first user message's text.
 * - A system message further on, where the template has no place for it, goes before the text of a user message that
 *   follows it; before another message, and at the end, it becomes a user message, though never between a call and its
 *   results. So it stays in its place as the conversation goes on, and what was computed stays right. `verbatim`: it waits
 *   for the next user message instead.
 * - Neighbours of one role become one message where roles must alternate.
 */
export const foldMessages = (
  messages: readonly TemplateMessage[],
  abilities: TemplateAbilities,
  verbatim = false,
): readonly TemplateMessage[] => {
  let folded = abilities.developer ? messages : messages.map(developerAsSystem);
  if (!abilities.laterSystem) folded = foldSystems(folded, abilities.system, verbatim);
  return abilities.repeatedRole ? folded : joinNeighbours(folded);
};

const developerAsSystem = (message: TemplateMessage): TemplateMessage =>
  message.role === 'developer' ? { ...message, role: 'system' } : message;

const isInstruction = ({ role }: TemplateMessage): boolean => role === 'system' || role === 'developer';

const foldSystems = (
  messages: readonly TemplateMessage[],
  takesFirst: boolean,
  verbatim: boolean,
): TemplateMessage[] => {
  const numLeading = messages.findIndex((message) => !isInstruction(message));
  const leading = messages.slice(0, numLeading < 0 ? messages.length : numLeading);
  const folded: TemplateMessage[] = [];
  let waiting: TemplateMessage[] = [];
  if (leading.length > 0 && takesFirst) folded.push(leading.reduce(joinTwo));
  else waiting = leading;
  for (const message of messages.slice(leading.length)) {
    if (isInstruction(message)) waiting.push(message);
    else if (message.role === 'user' && waiting.length > 0) {
      folded.push([...waiting, message].reduce(joinTwo));
      waiting = [];
    } else {
      if (waiting.length > 0 && message.role !== 'tool' && !verbatim) {
        folded.push({ role: 'user', content: waiting.reduce(joinTwo).content });
        waiting = [];
      }
      folded.push(message);
    }
  }
  if (waiting.length > 0) folded.push({ role: 'user', content: waiting.reduce(joinTwo).content });
  return folded;
};

const joinNeighbours = (messages: readonly TemplateMessage[]): TemplateMessage[] => {
  const joined: TemplateMessage[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    if (last?.role === message.role && message.role !== 'tool') joined[joined.length - 1] = joinTwo(last, message);
    else joined.push(message);
  }
  return joined;
};

/** The second message with the first one's text before its own. */
const joinTwo = (first: TemplateMessage, second: TemplateMessage): TemplateMessage => {
  const reasoning = [first.reasoning_content ?? '', second.reasoning_content ?? ''].filter((text) => text !== '');
  const calls = [...(first.tool_calls ?? []), ...(second.tool_calls ?? [])];
  return {
    ...second,
    content: [first.content ?? '', second.content ?? ''].filter((text) => text !== '').join(PARAGRAPH_BREAK),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...(reasoning.length > 0 ? { reasoning_content: reasoning.join(PARAGRAPH_BREAK) } : {}),
  };
};
