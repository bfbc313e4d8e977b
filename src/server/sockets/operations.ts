/** What the WebSocket routes offer, for the API's description. */
import type { SocketOperation } from '../operation.ts';
import { FRAME_CODECS } from './frame-codec.ts';

export const SOCKET_OPERATIONS: readonly SocketOperation[] = [
  {
    id: 'openChatSocket',
    path: '/v1/chat/completions',
    summary: 'A WebSocket for many streamed answers (our own frames)',
    protocols: [...FRAME_CODECS.keys()],
    clientFrame: 'ClientFrame',
    serverFrame: 'ChatServerFrame',
    dialect: 'openai',
  },
  {
    id: 'openMessageSocket',
    path: '/v1/messages',
    summary: 'A WebSocket for many streamed answers (our own frames)',
    protocols: [...FRAME_CODECS.keys()],
    clientFrame: 'ClientFrame',
    serverFrame: 'MessageServerFrame',
    dialect: 'anthropic',
  },
  {
    id: 'openResponseSocket',
    path: '/v1/responses',
    summary: 'A WebSocket for responses, one after another (OpenAI)',
    protocols: ['firstlight.json', 'realtime'],
    clientFrame: 'ResponseCreateFrame',
    serverFrame: 'ResponseServerFrame',
    dialect: 'openai',
  },
];
