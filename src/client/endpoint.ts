/** The routes that stream, in each dialect. */

export interface Endpoint {
  readonly path: string;
  /** Nothing follows this event. */
  isLast(event: object): boolean;
}

export const CHAT: Endpoint = {
  path: '/v1/chat/completions',
  // Its end is [DONE], which is no event.
  isLast: () => false,
};

export const MESSAGES: Endpoint = {
  path: '/v1/messages',
  isLast: (event) => (event as { type?: unknown }).type === 'message_stop',
};
