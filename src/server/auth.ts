/** Who may call: API keys, and the Host and Origin checks that keep web pages away from a local server. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { EngineError } from '../runtime/errors.ts';
import { CACHE_HEADER } from './cache-header.ts';
import type { RequestHead } from './http.ts';
import type { ServerOptions } from './options.ts';

export type AccessOptions = Pick<ServerOptions, 'host' | 'apiKeys' | 'insecure' | 'corsOrigins'>;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Host names and addresses, with or without brackets, that only this machine can reach. */
export const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  const version = isIP(bare);
  return version === 0 ? bare === 'localhost' : LOOPBACK.check(bare, version === 4 ? 'ipv4' : 'ipv6');
};

/** "example.org:8080" → "example.org"; "[::1]:80" → "[::1]". */
const hostname = (hostHeader: string): string => hostHeader.replace(/:\d*$/, '').toLowerCase();

/** An IP address, as URLs have it. */
const isAddress = (name: string): boolean => isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;

/** Whoever adds these speaks for another. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** 128 bits in hex. */
const OWNER_LENGTH = 32;

/** Pages cannot set headers on a WebSocket, but they can offer sub-protocols: their key travels as one. */
const KEY_PROTOCOL = 'firstlight.key.';
/** What pages offer to OpenAI's servers; the key stands there as it is. */
const OPENAI_KEY_PROTOCOL = 'openai-insecure-api-key.';

export const isKeyProtocol = (protocol: string): boolean =>
  protocol.startsWith(KEY_PROTOCOL) || protocol.startsWith(OPENAI_KEY_PROTOCOL);

const keyOfProtocol = (protocol: string): string =>
  protocol.startsWith(KEY_PROTOCOL)
    ? Buffer.from(protocol.slice(KEY_PROTOCOL.length), 'base64url').toString()
    : protocol.slice(OPENAI_KEY_PROTOCOL.length);

/** The sub-protocols that a WebSocket handshake offers, in its order. */
export const offeredProtocols = ({ headers }: Pick<RequestHead, 'headers'>): readonly string[] =>
  (headers.get('sec-websocket-protocol') ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');

const keyOf = ({ headers }: RequestHead): string | undefined => {
  const inHeader = headers.get('x-api-key') ?? /^Bearer\s+(.*)$/i.exec(headers.get('authorization') ?? '')?.[1];
  if (inHeader !== undefined) return inHeader;
  const protocol = offeredProtocols({ headers }).find(isKeyProtocol);
  return protocol === undefined ? undefined : keyOfProtocol(protocol);
};

/** The server's access rules. */
export class Access {
  readonly #host: string;
  readonly #isLoopbackBound: boolean;
  readonly #keyDigests: readonly Buffer[];
  readonly #corsOrigins: ReadonlySet<string>;

  /** @throws EngineError config_invalid when the address is reachable by others and nothing protects it */
  constructor({ host, apiKeys, insecure, corsOrigins }: AccessOptions) {
    this.#host = host.toLowerCase();
    this.#isLoopbackBound = isLoopback(host);
    this.#keyDigests = apiKeys.map(digest);
    this.#corsOrigins = new Set(corsOrigins);
    if (this.#isLoopbackBound || apiKeys.length > 0 || insecure) return;
    throw new EngineError(
      'config_invalid',
      `host ${host} can be reached by other machines, and no API key is set: set one with --api-key or ` +
        'FIRSTLIGHT_API_KEYS, bind 127.0.0.1, or pass --insecure to serve everyone',
      { param: 'host' },
    );
  }

  /**
   * A page can make a browser call this server under a name that the page's owner points at it (DNS rebinding), or
   * across origins; the Host and Origin headers give both away.
   * @throws EngineError forbidden
   */
  checkHostAndOrigin(request: RequestHead): void {
    const host = request.headers.get('host');
    if (this.#isLoopbackBound && host !== undefined && !isLoopback(hostname(host)) && hostname(host) !== this.#host) {
      throw new EngineError(
        'forbidden',
        `the Host header '${host}' does not name this machine: call the server as localhost or 127.0.0.1`,
      );
    }
    const origin = request.headers.get('origin');
    if (origin === undefined || this.#allowsOrigin(origin) || this.#isSameOrigin(origin, host)) return;
    throw new EngineError(
      'forbidden',
      `pages from origin '${origin}' may not call this server: allow it with --cors-origin ORIGIN`,
    );
  }

  /**
   * Bearer and x-api-key are equal; x-api-key wins when both are sent.
   * @throws EngineError unauthorized
   */
  checkKey(request: RequestHead): void {
    if (this.#keyDigests.length === 0) return;
    const key = keyOf(request);
    if (key === undefined || key === '') {
      throw new EngineError(
        'unauthorized',
        'an API key is required: send Authorization: Bearer KEY, or x-api-key: KEY (a page that opens a WebSocket: ' +
          'the sub-protocol firstlight.key.BASE64URL)',
      );
    }
    const keyDigest = digest(key);
    // Every key is compared, and digests have one length, so the time taken tells nothing about the keys.
    let matches = 0;
    for (const known of this.#keyDigests) matches += timingSafeEqual(known, keyDigest) ? 1 : 0;
    if (matches === 0) throw new EngineError('unauthorized', 'the API key is not one of this server’s keys');
  }

  /** Whose sessions the caller may see: a digest of its key, so that the key itself goes no further. */
  ownerOf(request: RequestHead): string {
    if (this.#keyDigests.length === 0) return '';
    return digest(`session owner: ${keyOf(request) ?? ''}`)
      .toString('hex')
      .slice(0, OWNER_LENGTH);
  }

  /**
   * For routes that change this machine: programs on it may call them, under its loopback names and through no proxy.
   * Pages may not, whichever origins may call the rest; a page of this server's own may.
   * @throws EngineError forbidden
   */
  checkLocal({ path, headers, remoteAddress }: RequestHead): void {
    const proxyHeader = PROXY_HEADERS.find((name) => headers.has(name));
    const host = headers.get('host') ?? '';
    const origin = headers.get('origin');
    const fault = !isLoopback(remoteAddress)
      ? `not ${remoteAddress}`
      : proxyHeader !== undefined
        ? `and no proxy (${proxyHeader})`
        : host !== '' && !isLoopback(hostname(host))
          ? `under its own names, not '${host}'`
          : origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`
            ? `not pages from origin '${origin}'`
            : undefined;
    if (fault === undefined) return;
    throw new EngineError(
      'forbidden',
      `${path} answers programs on the server's own machine, ${fault}: call it there as localhost, or use firstlight pull and rm`,
    );
  }

  /** The CORS headers for this request's origin; none when it sends none. */
  corsHeaders(request: RequestHead): Record<string, string> {
    const origin = request.headers.get('origin');
    if (origin === undefined || !this.#allowsOrigin(origin)) return {};
    return {
      'access-control-allow-origin': origin,
      'access-control-expose-headers': `x-request-id, request-id, retry-after, ${CACHE_HEADER}, x-firstlight-stream`,
      vary: 'origin',
    };
  }

  /** The answer to an OPTIONS preflight: these methods, and whatever headers the page wants to send. */
  preflightHeaders(request: RequestHead, methods: readonly string[]): Record<string, string> {
    const wanted = request.headers.get('access-control-request-headers') ?? '';
    const headers = /^[\w\-, ]*$/.test(wanted) ? wanted : '';
    return {
      'access-control-allow-methods': [...methods, 'OPTIONS'].join(', '),
      'access-control-max-age': '600',
      ...(headers === '' ? {} : { 'access-control-allow-headers': headers }),
      ...(request.headers.get('access-control-request-private-network') === 'true'
        ? { 'access-control-allow-private-network': 'true' }
        : {}),
    };
  }

  #allowsOrigin(origin: string): boolean {
    return this.#corsOrigins.has(origin) || this.#corsOrigins.has('*');
  }

  /**
   * A page that this server itself served. Trusted where the Host was checked, where a key is asked for as well, or where
   * the server is called by its address: only a name can be pointed at somebody else's server.
   */
  #isSameOrigin(origin: string, host: string | undefined): boolean {
    if (host === undefined || (origin !== `http://${host}` && origin !== `https://${host}`)) return false;
    return this.#isLoopbackBound || this.#keyDigests.length > 0 || isAddress(hostname(host));
  }
}
