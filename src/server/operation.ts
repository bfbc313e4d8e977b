/** One line of the API's description: what a method of a path is for, what it wants, and what it answers. */
import type { z } from 'zod';
import type { SchemaName } from './openapi/schemas/index.ts';
import type { RouteAccess } from './plain-route.ts';

/** Headers of answers beyond those that every answer has. */
export type AnswerHeader = 'x-firstlight-cache' | 'x-firstlight-stream' | 'content-disposition' | 'etag';

/** Headers of requests that mean something here. */
export type RequestHeader =
  | 'x-session-id'
  | 'x-agent-id'
  | 'x-firstlight-resume'
  | 'last-event-id'
  | 'anthropic-version';

/** The forms of one answer; none of them: an answer without content. */
export interface AnswerForms {
  /** For people; absent: what the forms tell. */
  readonly description?: string;
  /** Of the JSON. */
  readonly json?: SchemaName;
  /** Of each server-sent event. Beside `json`: the body's `stream` chooses. */
  readonly events?: SchemaName;
  /** Content types of what is neither. */
  readonly types?: readonly string[];
  readonly headers?: readonly AnswerHeader[];
}

export interface QueryParameter {
  /** One line for people. */
  readonly description: string;
  /** JSON Schema; absent: any text. */
  readonly schema?: object;
}

export interface Operation {
  /** What programs call it: `createSession`. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As OpenAPI writes it: `/v1/sessions/{id}`. It is the `name` of the route that answers. */
  readonly path: string;
  /** One line for people. */
  readonly summary: string;
  /** Of the JSON body; absent: none is read. */
  readonly body?: z.ZodType;
  /** The body may be left out. */
  readonly bodyIsOptional?: true;
  /** Content type of a body that is no JSON. */
  readonly takes?: string;
  /** Query parameters by name. */
  readonly query?: Readonly<Record<string, QueryParameter>>;
  readonly headers?: readonly RequestHeader[];
  /** What it answers when all goes well, by status; a schema's name is that of the JSON. */
  readonly answers: Readonly<Record<number, SchemaName | AnswerForms>>;
  /** Statuses of errors beyond those that follow from the rest. */
  readonly errors?: readonly number[];
  /** Whose envelope its errors have; absent: the request's headers decide. */
  readonly dialect?: 'openai' | 'anthropic';
  /** As the route has it. */
  readonly access?: RouteAccess;
}

/** A WebSocket, as the API's description has it. */
export interface SocketOperation {
  readonly id: string;
  /** Whose handshakes, which are GETs, it answers; the same path answers POST. */
  readonly path: string;
  readonly summary: string;
  /** Sub-protocols that are spoken; a client that offers none gets the first one's frames. */
  readonly protocols: readonly string[];
  /** Of each frame, in either direction. */
  readonly clientFrame: SchemaName;
  readonly serverFrame: SchemaName;
  /** Whose envelope its errors have. */
  readonly dialect: 'openai' | 'anthropic';
}
