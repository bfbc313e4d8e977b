/** What a hub's refusal means, and what helps. */
import { EngineError } from '../runtime/errors.ts';

export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  /** What was asked for: `ORG/NAME`, or a file of it. */
  readonly what: string;
  readonly endpoint: string;
  /** Another host that the hub sent us to, and that refuses. */
  readonly otherHost: string | undefined;
  readonly hasToken: boolean;
}

/** Answers after which the same request may succeed. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

export const isTransient = (status: number): boolean => TRANSIENT.has(status);

/**
 * Seconds that the hub asks to wait, if it does.
 * Source: RFC 9110, Retry-After; the hub's documentation on rate limits, `RateLimit: "api";r=0;t=55`.
 */
export const retryAfterSeconds = (headers: Headers): number | undefined => {
  const retryAfter = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(retryAfter)) return Number(retryAfter);
  const date = Date.parse(retryAfter);
  if (!Number.isNaN(date)) return Math.max(0, (date - Date.now()) / 1000);
  const [, untilReset] = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '') ?? [];
  return untilReset === undefined ? undefined : Number(untilReset);
};

const notFound = ({ headers, what, endpoint, hasToken }: Refusal): EngineError => {
  const reason = headers.get('x-error-code');
  if (reason === 'RevisionNotFound') {
    return new EngineError(
      'model_not_found',
      `${what}: ${endpoint} has no such revision; leave @REVISION out for main`,
    );
  }
  if (reason === 'EntryNotFound') return new EngineError('model_not_found', `${what}: ${endpoint} has no such file`);
  const remedy = hasToken ? 'or the token may not see it' : 'or it is private: then set HF_TOKEN';
  return new EngineError(
    'model_not_found',
    `${what}: ${endpoint} has no such repository (and no file or folder here has this name), ${remedy}`,
  );
};

const unauthorized = (refusal: Refusal): EngineError => {
  const { headers, what, endpoint, hasToken } = refusal;
  const reason = headers.get('x-error-code');
  if (reason === 'GatedRepo') return gated(refusal, 'unauthorized');
  // Without a token the hub does not tell private repositories from those that do not exist.
  if (!hasToken && (reason === 'RepoNotFound' || reason === null)) return notFound(refusal);
  const said = headers.get('x-error-message');
  return new EngineError(
    'unauthorized',
    `${what}: ${endpoint} does not accept the token${said ? ` ("${said}")` : ''}; set HF_TOKEN to a valid one with the right to read`,
  );
};

const gated = ({ what, endpoint, hasToken }: Refusal, code: 'unauthorized' | 'forbidden'): EngineError => {
  const repository = what.split('/').slice(0, 2).join('/');
  const then = hasToken ? 'the token does not open it yet' : 'then set HF_TOKEN';
  return new EngineError(
    code,
    `${what}: the repository is gated; accept its terms at ${endpoint}/${repository}; ${then}`,
  );
};

/** The error for an answer that no repetition will change, or that was repeated often enough. */
export const refusalError = (refusal: Refusal): EngineError => {
  const { status, headers, what, endpoint, otherHost, hasToken } = refusal;
  if (otherHost !== undefined && status < 429) {
    // Links to other hosts are signed for a while only: the code says that asking the hub again may help.
    return new EngineError(
      'forbidden',
      `${what}: ${otherHost}, where ${endpoint} keeps it, answered ${status}; try again`,
    );
  }
  if (status === 401) return unauthorized(refusal);
  if (status === 403) {
    if (headers.get('x-error-code') === 'GatedRepo' || !hasToken) return gated(refusal, 'forbidden');
    return new EngineError(
      'forbidden',
      `${what}: ${endpoint} refuses access (403); the token needs the right to read it`,
    );
  }
  if (status === 404 || status === 410) return notFound(refusal);
  if (status === 429) {
    const seconds = retryAfterSeconds(headers);
    const when = seconds === undefined ? 'later' : `in ${Math.ceil(seconds)} s`;
    return new EngineError(
      'overloaded',
      `${what}: ${endpoint} limits the rate of requests (429); try again ${when}${hasToken ? '' : ', or set HF_TOKEN for a higher limit'}`,
      seconds === undefined ? {} : { retryAfterSeconds: seconds },
    );
  }
  return new EngineError('download_failed', `${what}: ${endpoint} answered ${status}; try again later`);
};
