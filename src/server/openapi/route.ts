/** `GET /openapi.json` and `GET /docs`. */
import { type PlainRoute, readRoute } from '../plain-route.ts';

interface Description {
  readonly json: string;
  readonly page: string;
  readonly pagePolicy: string;
}

let description: Promise<Description> | undefined;

/** Made when somebody first asks, then kept: few ask, and a server that starts should not wait for it. */
const describe = async (): Promise<Description> => {
  const [{ openapiDocument }, { documentPage, PAGE_POLICY }] = await Promise.all([
    import('./document.ts'),
    import('./page.ts'),
  ]);
  const document = openapiDocument();
  return { json: JSON.stringify(document), page: documentPage(document), pagePolicy: PAGE_POLICY };
};

const described = (): Promise<Description> => {
  description ??= describe();
  return description;
};

export const descriptionRoutes = (): PlainRoute[] => [
  readRoute(
    '/openapi.json',
    async (_request, reply) => reply.text(200, (await described()).json, { 'content-type': 'application/json' }),
    'everyone',
  ),
  readRoute(
    '/docs',
    async (_request, reply) => {
      const { page, pagePolicy } = await described();
      reply.text(200, page, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': pagePolicy,
        'x-content-type-options': 'nosniff',
      });
    },
    'everyone',
  ),
];
