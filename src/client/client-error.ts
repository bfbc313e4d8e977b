/** What can go wrong between a client and its server. */

/** The server refused the request, or failed within the answer. */
export class ApiError extends Error {
  /** As over HTTP; undefined for a failure after the stream's head had left. */
  readonly status: number | undefined;
  /** The dialect's own envelope, or what came in its place. */
  readonly body: unknown;

  constructor(status: number | undefined, body: unknown) {
    super(messageOf(body) ?? `the server answered with status ${status ?? 200}`);
    this.name = 'ApiError';
    this.status = status;
    this.body = body;
  }
}

/** The connection could not be made, or was lost where it cannot be taken up again. */
export class ConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectionError';
  }
}

/** Both dialects: `{error: {message}}`. */
const messageOf = (body: unknown): string | undefined => {
  const message = (body as { error?: { message?: unknown } } | null | undefined)?.error?.message;
  return typeof message === 'string' ? message : undefined;
};
