/** `firstlight/client`: for browsers and Node, without dependencies. */
export { Client, type ClientOptions, type RequestOptions } from './client.ts';
export { ApiError, ConnectionError } from './client-error.ts';
export type { WebSocketConstructor, WebSocketLike } from './connection.ts';
export type {
  ChatBody,
  ChatChoice,
  ChatChunk,
  ChatToolCallDelta,
  ChatUsage,
  ChatWarning,
  MessageBlock,
  MessageDelta,
  MessageEvent,
  MessagesBody,
  MessageUsage,
  StopReason,
} from './events.ts';
export { type FrameCodec, jsonCodec, type Msgpackr, msgpackCodec } from './frame-codec.ts';
export type { ModelEntry } from './models.ts';
