/** `GET /`: the chat page for browsers, a line of text for programs; and `GET /assets/…`, the page's files. */
import { EngineError } from '../../runtime/errors.ts';
import type { HttpRequest } from '../http.ts';
import { type PlainRoute, readRoute } from '../plain-route.ts';
import type { Reply } from '../reply.ts';
import { type PageFile, readPageFiles } from './files.ts';

const PREFIX = '/assets/';
const NAME = `${PREFIX}{folder}/{file}`;

/** Whether a route's name is that of the page's files: each visit asks for all of them, and one line of the log will do. */
export const isPageFile = (route: string): boolean => route === NAME;

/** The page runs its own modules and calls its own server; nothing makes markup of text, and no other page frames it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

let files: ReadonlyMap<string, PageFile> | undefined;

/** Read when somebody first asks, then kept. */
const fileOf = (name: string): PageFile | undefined => {
  files ??= readPageFiles();
  return files.get(name);
};

/** `/`, which answers programs as `greet` does. */
export const pageRoute = (greet: PlainRoute['answer']): PlainRoute =>
  readRoute(
    '/',
    (request, reply) => {
      reply.addHeaders({ vary: 'accept, origin' });
      const page = wantsPage(request) ? fileOf('web/index.html') : undefined;
      return page === undefined ? greet(request, reply) : sendFile(page, request, reply);
    },
    'everyone',
  );

/** Undefined for other paths. */
export const assetRouteOf = (path: string): PlainRoute | undefined => {
  if (!path.startsWith(PREFIX)) return undefined;
  return readRoute(
    NAME,
    (request, reply) => {
      const file = fileOf(path.slice(PREFIX.length));
      if (file === undefined) throw new EngineError('not_found', `unknown URL: the chat page has no file ${path}`);
      sendFile(file, request, reply);
    },
    'everyone',
  );
};

/** Browsers name it when they open a page; programs take anything, or JSON. */
const wantsPage = ({ headers }: HttpRequest): boolean => /\btext\/html\b/i.test(headers.get('accept') ?? '');

const sendFile = ({ bytes, contentType, etag }: PageFile, { headers }: HttpRequest, reply: Reply): void => {
  reply.addHeaders({
    etag,
    // Asked for each time, answered with 304: an upgraded server never meets half of an older page.
    'cache-control': 'no-cache',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
  });
  if (isKnown(etag, headers.get('if-none-match'))) reply.text(304, '');
  else reply.text(200, bytes, { 'content-type': contentType });
};

const isKnown = (etag: string, ifNoneMatch = ''): boolean =>
  ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === etag || known.trim() === '*');
