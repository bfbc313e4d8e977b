/** What a server can be told. The command line and the configuration file fill the same fields. */
import type { Logger } from 'pino';
import { SESSION_FIELDS } from '../runtime/config.ts';
import type { TransportName } from './http.ts';
import type { ModelStore } from './model-store.ts';
import type { ResponseStoreOptions } from './responses/response-store.ts';
import { DEFAULT_STREAM_STORE, type StreamStoreOptions } from './resume/stream-store.ts';
import type { SessionField } from './session-hints.ts';

export interface ServerOptions {
  /** Address to bind. Beyond loopback an API key is required, unless `insecure`. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Any of these opens the API; none: open to everyone who can connect. */
  readonly apiKeys: readonly string[];
  /** Allows an address beyond loopback without a key. */
  readonly insecure: boolean;
  /** Origins (`https://app.example`) whose pages may call the API; `*` allows all. */
  readonly corsOrigins: readonly string[];
  /** Most bytes of a request body, both as sent and decompressed. */
  readonly bodyLimitBytes: number;
  /** Most bytes of the bodies of all requests in flight together; a single one is always taken. */
  readonly heldBodiesBytes: number;
  /** Most generations and token counts in flight, whether running or queued in the engine. */
  readonly maxConcurrentRequests: number;
  /** A stream that is silent for one to two of these sends a ping. */
  readonly pingIntervalMs: number;
  /** Body fields that name a request's session, in the order in which they count; the headers always do, and first. */
  readonly sessionFields: readonly SessionField[];
  /** Leaves prompts as they come: no attribution line is taken out, no tools are put in the order of earlier ones. */
  readonly verbatimPrompts: boolean;
  /** Refuses what the vendors refuse, though it could be honoured: sampling fields in new versions of Anthropic's API. */
  readonly strict: boolean;
  /** Where responses with `store` go, and for how long; absent fields: in memory, at most 256 MiB, for 30 days. */
  readonly responseStore: Partial<ResponseStoreOptions>;
  /** How long streams can be resumed whose request asked for it, and how much of them is kept. */
  readonly streamStore: StreamStoreOptions;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** The models on this machine; absent: the served one is listed alone, and none can be fetched or removed. */
  readonly modelStore?: ModelStore;
  /** Takes the place of the server's own logger, which writes JSON lines to stderr. */
  readonly logger?: Logger;
  /** Absent: µWebSockets where this Node has it, else node:http. */
  readonly transport?: TransportName;
}

export const DEFAULT_SERVER_OPTIONS: ServerOptions = Object.freeze({
  host: '127.0.0.1',
  port: 8080,
  apiKeys: [],
  insecure: false,
  corsOrigins: [],
  bodyLimitBytes: 32 * 1024 * 1024,
  heldBodiesBytes: 512 * 1024 * 1024,
  maxConcurrentRequests: 512,
  // Silence stays below the 15 s that some clients and proxies allow.
  pingIntervalMs: 7_000,
  sessionFields: SESSION_FIELDS,
  verbatimPrompts: false,
  strict: false,
  responseStore: {},
  streamStore: DEFAULT_STREAM_STORE,
  logLevel: 'info',
});
