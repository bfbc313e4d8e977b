/** `GET /openapi.json` and `GET /docs`. */
import { type PlainRoute, readRoute } from '../plain-route.ts';
import { openapiDocument } from './document.ts';
import { OPERATIONS } from './operations.ts';
import { documentPage, PAGE_POLICY } from './page.ts';

/** Made when somebody first asks, then kept. */
const once = (make: () => string): (() => string) => {
  let made: string | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

const json = once(() => JSON.stringify(openapiDocument(OPERATIONS)));
const page = once(() => documentPage(OPERATIONS));

export const descriptionRoutes = (): PlainRoute[] => [
  readRoute('/openapi.json', (_request, reply) => reply.text(200, json(), { 'content-type': 'application/json' })),
  readRoute('/docs', (_request, reply) => {
    reply.text(200, page(), {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
    });
  }),
];
