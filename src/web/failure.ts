/** What went wrong, in words for whoever reads the page. */
import { ApiError, ConnectionError } from '../client/index.ts';

export interface Failure {
  /** `key`: another key is wanted. `gone`: the server does not answer. */
  readonly kind: 'key' | 'gone' | 'other';
  readonly title: string;
  readonly detail: string;
}

const UNAUTHORIZED = 401;
const FORBIDDEN = 403;
const TOO_MANY = 429;
const INTERNAL_ERROR = 500;
const UNAVAILABLE = 503;

export const failureOf = (error: unknown): Failure => {
  if (error instanceof ConnectionError) {
    return { kind: 'gone', title: 'The connection to the server was lost', detail: sentence(error.message) };
  }
  if (error instanceof ApiError) return refusalOf(error);
  return { kind: 'other', title: 'The page itself failed', detail: String(error) };
};

const refusalOf = ({ status, body, message }: ApiError): Failure => {
  const detail = sentence(message);
  if (status === UNAUTHORIZED) return { kind: 'key', title: 'The server wants another API key', detail };
  return { kind: 'other', title: titleOf(status, body), detail };
};

const titleOf = (status: number | undefined, body: unknown): string => {
  if (codeOf(body) === 'context_length_exceeded') return 'The conversation is longer than the model’s context';
  if (status === FORBIDDEN) return 'The server does not answer this page';
  if (status === TOO_MANY || status === UNAVAILABLE) return 'The server has too much to do, or is shutting down';
  const isRefusal = status !== undefined && status < INTERNAL_ERROR;
  return isRefusal ? 'The server refused the request' : 'The server failed to make the answer';
};

const codeOf = (body: unknown): unknown => (body as { error?: { code?: unknown } } | null | undefined)?.error?.code;

const sentence = (text: string): string => {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
};
