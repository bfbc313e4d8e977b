/** Reading what was said: once, or along with it as it is said. */
import { invalidParam } from '../dialects/body-schema.ts';
import { messageBody } from './answer-bodies.ts';
import type { AnswerStream } from './answer-stream.ts';
import type { CoordinationSession, Message } from './session.ts';

const CHANNELS = ['public', 'whisper', 'all'];

/** `?channel=`: public messages unless said otherwise; all where every turn is a whisper. */
const isWanted = (session: CoordinationSession, query: URLSearchParams): ((message: Message) => boolean) => {
  const channel = query.get('channel') ?? (session.settings.topology === 'whisper' ? 'all' : 'public');
  if (!CHANNELS.includes(channel))
    throw invalidParam('channel', `must be one of ${CHANNELS.join(', ')}; got '${channel}'`);
  return ({ toAgentId }) => channel === 'all' || (channel === 'public') === (toAgentId === undefined);
};

/** @throws EngineError invalid_request for a channel that is none */
export const listMessages = (session: CoordinationSession, query: URLSearchParams): readonly object[] =>
  session.messages.filter(isWanted(session, query)).map((message) => messageBody(session, message));

/**
 * Sends the messages so far, then each as it is said, until `signal` aborts.
 * @throws EngineError invalid_request, overloaded, before anything is sent
 */
export const followMessages = async (
  session: CoordinationSession,
  query: URLSearchParams,
  stream: AnswerStream,
  signal: AbortSignal,
): Promise<void> => {
  const send = (message: Message): void => stream.send({ type: 'message', ...messageBody(session, message) });
  let unfollow = (): void => {};
  try {
    const wanted = isWanted(session, query);
    unfollow = session.follow((message) => {
      if (wanted(message)) send(message);
    });
    stream.begin();
    for (const message of session.messages) if (wanted(message)) send(message);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    stream.send({ type: 'end' });
  } finally {
    unfollow();
    stream.end();
  }
};
