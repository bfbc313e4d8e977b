/** Asks a hub over HTTP: follows redirects without giving the token away, repeats what may succeed, gives up in words. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../runtime/errors.ts';
import { plainEtag } from './digest.ts';
import { isTransient, refusalError, retryAfterSeconds } from './refusal.ts';
import type { HubSettings } from './settings.ts';

/** How long to wait for what, and how often. */
export interface Patience {
  /** Attempts that bring nothing before one gives up. */
  readonly maxAttempts: number;
  /** The first pause; each further one is twice as long, up to 30 s. */
  readonly backoffMs: number;
  /** The longest pause that the hub may ask for. */
  readonly maxWaitSeconds: number;
  /** Silence that counts as a cut. */
  readonly stallMs: number;
}

export const PATIENCE: Patience = { maxAttempts: 6, backoffMs: 500, maxWaitSeconds: 300, stallMs: 30_000 };

export interface HubRequest {
  /** An absolute URL, on the hub or where it sent us. */
  readonly url: string;
  /** For messages: `ORG/NAME`, or a file of it. */
  readonly what: string;
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface HubReply {
  readonly response: Response;
  /** Where the answer came from at last. */
  readonly url: string;
  /** What the hub itself says of the file, wherever its bytes lie. */
  readonly linkedEtag: string | undefined;
  readonly linkedSizeBytes: number | undefined;
}

const MAX_REDIRECTS = 8;
const MAX_BACKOFF_MS = 30_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export class HubClient {
  readonly endpoint: string;
  readonly patience: Patience;
  readonly #settings: HubSettings;

  constructor(settings: HubSettings, patience: Patience = PATIENCE) {
    this.endpoint = settings.endpoint;
    this.patience = patience;
    this.#settings = settings;
  }

  /** True where the token may be sent. */
  isOwn(url: string): boolean {
    return new URL(url).origin === new URL(this.endpoint).origin;
  }

  /** Waits before attempt `number` + 1; `askedSeconds` is what the hub asked for. @throws EngineError aborted */
  async pause(number: number, askedSeconds: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const backoffMs = Math.min(this.patience.backoffMs * 2 ** (number - 1), MAX_BACKOFF_MS);
    // Not all at the same time: whoever was cut together should not come back together.
    const pauseMs = askedSeconds === undefined ? backoffMs * (0.5 + Math.random() / 2) : askedSeconds * 1000;
    await sleep(pauseMs, undefined, signal ? { signal } : {}).catch((cause: unknown) => {
      throw stopped('waiting for the hub', cause);
    });
  }

  /**
   * An answer with a status below 300. Its body must be read or cancelled.
   * @throws EngineError unauthorized, forbidden, model_not_found, overloaded, download_failed, aborted
   */
  async request(request: HubRequest): Promise<HubReply> {
    if (this.#settings.isOffline) {
      throw new EngineError('download_failed', `${request.what}: is not here, and HF_HUB_OFFLINE forbids to fetch it`);
    }
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= this.patience.maxAttempts;
      const outcome = await this.#attempt(request);
      if (!(outcome instanceof EngineError)) {
        const { response } = outcome;
        // Where the bytes lie, a HEAD may be refused: what the hub itself has said is enough.
        const isTold = request.method === 'HEAD' && outcome.linkedEtag !== undefined && REDIRECTS.has(response.status);
        if (response.ok || isTold) return outcome;
        await response.body?.cancel();
        const { status, headers } = response;
        const asked = retryAfterSeconds(headers);
        if (isLast || !isTransient(status) || (asked ?? 0) > this.patience.maxWaitSeconds) {
          const { what } = request;
          throw refusalError({
            status,
            headers,
            what,
            endpoint: this.endpoint,
            otherHost: this.isOwn(outcome.url) ? undefined : new URL(outcome.url).host,
            hasToken: this.#settings.token !== undefined,
          });
        }
        await this.pause(attempt, asked, request.signal);
      } else {
        if (isLast) throw outcome;
        await this.pause(attempt, undefined, request.signal);
      }
    }
  }

  /** A JSON answer, and the URL of the next page if there is one. @throws as `request` */
  async json(request: HubRequest): Promise<{ readonly body: unknown; readonly next: string | undefined }> {
    const { response, url } = await this.request({ ...request, headers: { accept: 'application/json' } });
    const text = await this.#text(response, request);
    const [, next] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '') ?? [];
    try {
      return { body: JSON.parse(text), next: next === undefined ? undefined : new URL(next, url).href };
    } catch (cause) {
      throw new EngineError(
        'download_failed',
        `${request.what}: ${request.url} did not answer with JSON; is HF_ENDPOINT (${this.endpoint}) a hub?`,
        {},
        { cause },
      );
    }
  }

  async #text(response: Response, { what, signal }: HubRequest): Promise<string> {
    return response.text().catch((cause: unknown) => {
      if (signal?.aborted) throw stopped(what, cause);
      throw new EngineError('download_failed', `${what}: the answer broke off; try again`, {}, { cause });
    });
  }

  /** One way through the redirects; an error that a repetition may cure is returned, any other thrown. */
  async #attempt(request: HubRequest): Promise<HubReply | EngineError> {
    let { url } = request;
    let linkedEtag: string | undefined;
    let linkedSizeBytes: number | undefined;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#send(url, request);
      if (response instanceof EngineError) return response;
      const { headers } = response;
      linkedEtag ??= plainEtag(headers.get('x-linked-etag'));
      linkedSizeBytes ??= toSize(headers.get('x-linked-size'));
      const location = REDIRECTS.has(response.status) ? headers.get('location') : null;
      const isTold = request.method === 'HEAD' && linkedEtag !== undefined && linkedSizeBytes !== undefined;
      if (location === null || isTold) return { response, url, linkedEtag, linkedSizeBytes };
      await response.body?.cancel();
      url = this.#redirected(url, location, request.what);
    }
    throw new EngineError(
      'download_failed',
      `${request.what}: more than ${MAX_REDIRECTS} redirects, from ${request.url}`,
    );
  }

  #redirected(from: string, location: string, what: string): string {
    const to = URL.canParse(location, from) ? new URL(location, from) : undefined;
    const isAllowed = to && (to.protocol === 'https:' || (to.protocol === 'http:' && from.startsWith('http:')));
    if (isAllowed) return to.href;
    throw new EngineError(
      'download_failed',
      `${what}: ${new URL(from).host} redirects to ${JSON.stringify(location.slice(0, 200))}; https URLs are followed`,
    );
  }

  async #send(url: string, { what, method = 'GET', headers, signal }: HubRequest): Promise<Response | EngineError> {
    const { token } = this.#settings;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), this.patience.stallMs);
    try {
      return await fetch(url, {
        method,
        redirect: 'manual',
        headers: {
          'user-agent': 'firstlight',
          // Ranges and lengths count the file's own bytes.
          'accept-encoding': 'identity',
          ...headers,
          ...(token !== undefined && this.isOwn(url) ? { authorization: `Bearer ${token}` } : {}),
        },
        signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
      });
    } catch (cause) {
      if (signal?.aborted) throw stopped(what, cause);
      const { host } = new URL(url);
      const problem = silence.signal.aborted
        ? `${host} said nothing for ${this.patience.stallMs / 1000} s`
        : `${host} cannot be reached (${reasonOf(cause)})`;
      return new EngineError(
        'download_failed',
        `${what}: ${problem}; check the network, or set HF_ENDPOINT to a mirror`,
        {},
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

export const stopped = (what: string, cause?: unknown): EngineError =>
  new EngineError('aborted', `${what} was stopped; asking again goes on where it stopped`, {}, { cause });

const toSize = (header: string | null): number | undefined =>
  header !== null && /^\d+$/.test(header) && Number.isSafeInteger(Number(header)) ? Number(header) : undefined;

/** fetch hides what went wrong behind "fetch failed". */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return typeof code === 'string' ? code : cause instanceof Error ? cause.message : String(cause);
};
