/** The list of WebSocket routes. */
import { anthropicMessages } from '../dialects/anthropic-messages.ts';
import { openaiChat } from '../dialects/openai-chat.ts';
import { responsesSocket } from '../responses/socket.ts';
import { requestRoute } from './request-socket.ts';
import type { SocketRoute } from './route.ts';

export const SOCKET_ROUTES: readonly SocketRoute[] = [
  requestRoute(openaiChat, { id: 'openChatSocket', path: '/v1/chat/completions', serverFrame: 'ChatServerFrame' }),
  requestRoute(anthropicMessages, { id: 'openMessageSocket', path: '/v1/messages', serverFrame: 'MessageServerFrame' }),
  responsesSocket(),
];

export const socketRouteOf = (path: string): SocketRoute | undefined =>
  SOCKET_ROUTES.find((route) => route.path === path);
