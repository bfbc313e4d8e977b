/**
 * The API's description against the OpenAPI 3.1 meta-schema, and against what the server really answers.
 * Source of the meta-schema: https://spec.openapis.org/oas/3.1/schema/2026-08-03 (Apache 2.0).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { type DocumentObject, validator } from '../support/published-document.ts';
import { serve } from '../support/serve.ts';

const SCRIPT = { replies: [{ tokens: ['ok'] }] };
/** Its `list` is never asked for: a store's routes exist where there is one. */
const modelStore = {
  list: async () => [],
  pull: () => Promise.reject(new Error('not asked for')),
  remove: () => Promise.reject(new Error('not asked for')),
};

const describeServer = async () => {
  const { url } = await serve(SCRIPT, { modelStore });
  const answer = await call(`${url}/openapi.json`);
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/json');
  return { url, document: JSON.parse(answer.body) as DocumentObject };
};

const operationsOf = ({ paths }: DocumentObject) => Object.values(paths).flatMap((methods) => Object.values(methods));

test('is valid OpenAPI 3.1, and its schemas are valid JSON Schema', async () => {
  const { document } = await describeServer();
  const metaSchema = JSON.parse(
    readFileSync(new URL('../reference/openapi-3.1.schema.json', import.meta.url), 'utf8'),
  ) as object;
  const validate = validator().compile(metaSchema);
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
  const { paths: _, ...pathless } = document;
  expect(validate({ ...pathless, paths: { 'no-slash': {} } })).toBe(false);
  const ajv = validator();
  ajv.addSchema(document, 'firstlight');
  const names = Object.keys(document.components.schemas);
  expect(names.length).toBeGreaterThan(150);
  for (const name of names) expect(() => ajv.getSchema(`firstlight#/components/schemas/${name}`)).not.toThrow();
});

test('names every operation once, and has no part that nothing refers to, or that is not there', async () => {
  const { document } = await describeServer();
  const ids = operationsOf(document).map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const { schemas, responses, headers } = document.components;
  const parts = Object.entries({ schemas, responses, headers }).flatMap(([kind, all]) =>
    Object.keys(all).map((name) => `#/components/${kind}/${name}`),
  );
  const referred = new Set([...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, target]) => target));
  expect([...referred].filter((target) => !parts.includes(target!))).toEqual([]);
  expect(parts.filter((part) => !referred.has(part))).toEqual([]);
});

test('says of every answer what it is', async () => {
  const { document } = await describeServer();
  for (const { operationId, responses, requestBody } of operationsOf(document)) {
    for (const response of Object.values(responses)) {
      for (const [type, form] of Object.entries(response.content ?? {})) {
        if (type !== 'application/octet-stream') expect(form.schema, `${operationId} ${type}`).toBeDefined();
        if (type === 'text/event-stream') expect(form.schema?.$ref, operationId).toMatch(/Event$/);
      }
    }
    const form = requestBody?.content['application/json'];
    if (form !== undefined) expect(form.schema?.$ref, operationId).toMatch(/^#\/components\/schemas\/\w+Request$/);
  }
});

test('has the fields and bounds that the routes check', async () => {
  const { document } = await describeServer();
  const ajv = validator().addSchema(document, 'firstlight');
  const validate = ajv.getSchema('firstlight#/components/schemas/CreateChatCompletionRequest')!;
  const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };
  expect(validate(body)).toBe(true);
  expect(validate({ ...body, temperature: 1.5, unknown_field: 1, stop: null })).toBe(true);
  for (const bad of [{ temperature: 3 }, { messages: [] }, { n: 0 }, { stream: 'yes' }, { model: undefined }])
    expect(validate({ ...body, ...bad }), JSON.stringify(bad)).toBe(false);
});

test('says of every path which methods it answers', async () => {
  const { url, document } = await describeServer();
  for (const [path, methods] of Object.entries(document.paths)) {
    const { status, headers } = await call(`${url}${path.replaceAll(/\{\w+\}/g, 'x')}`, {}, 'PATCH');
    expect([path, status]).toEqual([path, 405]);
    const answered = String(headers.allow)
      .split(', ')
      .filter((method) => method !== 'HEAD' && method !== 'OPTIONS');
    expect([path, ...answered.sort()]).toEqual([
      path,
      ...Object.entries(methods)
        // The handshake of a WebSocket is no GET like others.
        .filter(([, operation]) => operation['x-firstlight-websocket'] === undefined)
        .map(([name]) => name.toUpperCase())
        .sort(),
    ]);
  }
});

/** Without comments. */
const sources = (): readonly string[] =>
  readdirSync('src/server', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join('src/server', file), 'utf8').replaceAll(/^\s*(\*|\/\/|\/\*).*$/gm, ''));

test('leaves out no query parameter that the server’s sources read', async () => {
  const { document } = await describeServer();
  const described = new Set(
    operationsOf(document).flatMap(({ parameters = [] }) =>
      parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
    ),
  );
  const read = sources().flatMap((text) =>
    [...text.matchAll(/query\.(?:get|has)\('(\w+)'\)/g)].map(([, name]) => name!),
  );
  expect(new Set(read).size).toBeGreaterThan(8);
  expect(read.filter((name) => !described.has(name))).toEqual([]);
});

test('leaves out no path that the server’s sources name', async () => {
  const { document } = await describeServer();
  const described = Object.keys(document.paths);
  const named = sources().flatMap((text) =>
    [
      ...text.matchAll(
        /['"`]((?:\/v1|\/api|\/assets|\/health|\/docs|\/openapi|\/metrics|\/[a-z-]*token)[\w./{}-]*)['"`]/g,
      ),
    ].map(([, path]) => path!),
  );
  expect(named.length).toBeGreaterThan(15);
  // Prefixes are named, too.
  const missing = named.filter((path) => !described.some((known) => known.startsWith(path)));
  expect(missing).toEqual([]);
});

test('is shown by a page that runs nothing and fetches nothing', async () => {
  const { url, document } = await describeServer();
  const { status, headers, body } = await call(`${url}/docs`);
  expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+=*';/);
  expect(body).not.toMatch(/<script|<img|<link|@import|url\(|https?:\/\/| on\w+=| style=/i);
  for (const path of Object.keys(document.paths)) expect(body).toContain(path);
  const targets = new Set([...body.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));
  const links = [...body.matchAll(/ href="#([^"]*)"/g)].map(([, id]) => id);
  expect(links.length).toBeGreaterThan(200);
  expect(links.filter((id) => !targets.has(id))).toEqual([]);
});

test('is open to those who have no key yet', async () => {
  const { url } = await serve(SCRIPT, { apiKeys: ['secret'], modelStore });
  const { status, body } = await call(`${url}/openapi.json`);
  expect(status).toBe(200);
  const { paths } = JSON.parse(body) as DocumentObject;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { description, security }] of Object.entries(methods)) {
      const answer = await call(`${url}${path.replaceAll(/\{\w+\}/g, 'x')}`, {}, method.toUpperCase());
      const isOpen = security?.length === 0 || description?.startsWith('Needs no key on');
      expect([path, method, answer.status === 401]).toEqual([path, method, !isOpen]);
    }
  }
});
