/** A server's own description as the judge of its answers. Stricter than it is for clients: no key may be undescribed. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect } from 'vitest';
import { parseSse } from './serve.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

interface Reference {
  readonly $ref: string;
}

interface MediaType {
  readonly schema?: Partial<Reference>;
}

interface ResponseObject {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, MediaType>>;
}

export interface OperationObject {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly description?: string;
  readonly security?: readonly object[];
  readonly tags: readonly string[];
  readonly responses: Readonly<Record<string, ResponseObject>>;
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly 'x-firstlight-websocket'?: { readonly client: Reference; readonly server: Reference };
}

export interface DocumentObject {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly responses: Readonly<Record<string, ResponseObject>>;
    readonly headers: Readonly<Record<string, { readonly required?: boolean }>>;
  };
}

const SSE_TYPE = 'text/event-stream';

interface Observed {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Headers of HTTP itself, of transports and of CORS, which every answer may have. */
const PLAIN_HEADERS =
  /^(content-(type|length|security-policy)|date|connection|referrer-policy|cross-origin-opener-policy|keep-alive|transfer-encoding|cache-control|allow|vary|uwebsockets|x-accel-buffering|x-content-type-options|access-control-.*)$/;

/** Objects with keys of their own have no others. */
const closed = (node: Json): Json => {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== 'object' || node === null) return node;
  const schema = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  return 'properties' in schema && !('additionalProperties' in schema)
    ? { ...schema, additionalProperties: false }
    : schema;
};

export const validator = (): Ajv2020 => {
  const ajv = new Ajv2020({ strict: false, allErrors: false, formats: { 'media-range': true } });
  // The package is CommonJS: its default export is the namespace's `default` for some loaders.
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv;
};

export class PublishedDocument {
  readonly document: DocumentObject;
  /** `createMessage 200 application/json`, `openChatSocket 101`, `event ping`. */
  readonly seen: Set<string>;
  readonly #ajv = validator();
  #loose: Ajv2020 | undefined;

  private constructor(document: DocumentObject, seen: Set<string>) {
    this.document = document;
    this.seen = seen;
    this.#ajv.addSchema(closed(document as unknown as Json) as object, 'firstlight');
  }

  /** @param seen shared by the documents of several servers */
  static async of(url: string, seen = new Set<string>()): Promise<PublishedDocument> {
    const answer = await fetch(`${url}/openapi.json`);
    return new PublishedDocument((await answer.json()) as DocumentObject, seen);
  }

  /** Fails unless the document says of this path that it answers so. */
  check({ method, path, status, headers, body }: Observed): void {
    const place = `${method} ${path} ${status}`;
    const operation = this.operation(method, path);
    const response = this.#resolved(operation?.responses[status], place);
    const type = headers.get('content-type')?.replace(/;.*/, '');
    this.seen.add([operation?.operationId, status, ...(type === undefined ? [] : [type])].join(' '));
    const described = Object.keys(response.headers ?? {});
    const others = [...headers.keys()].filter((name) => !PLAIN_HEADERS.test(name) && !described.includes(name));
    const required = described.filter((name) => this.document.components.headers[name]?.required === true);
    expect([place, ...required.filter((name) => !headers.has(name))]).toEqual([place]);
    if (others.length > 0) throw new Error(`${place}: the headers ${others.join(', ')} are not described`);
    if (type === undefined) {
      expect([place, body, response.content]).toEqual([place, '', undefined]);
      return;
    }
    const form = response.content?.[type];
    expect(form, `${place}: ${type} is not described`).toBeDefined();
    const reference = form?.schema?.$ref;
    if (type === SSE_TYPE) this.checkEvents(reference!, body, place);
    else if (type === 'application/json') this.validate(reference, JSON.parse(body), place);
  }

  /** The events of a whole stream. */
  checkEvents(reference: string, text: string, place = reference): void {
    for (const [name, event] of parseSse(text.replaceAll(/^id: .*\n/gm, ''))) {
      if (event === '[DONE]') continue;
      this.validate(reference, event, `${place} event`);
      const { type } = event as { readonly type?: string };
      if (name !== '') expect(name).toBe(type);
      this.seen.add(`event ${type ?? ''}`);
    }
  }

  validate(reference: string | undefined, value: unknown, place: string): void {
    this.#validate(this.#ajv, reference, value, place);
  }

  #validate(ajv: Ajv2020, reference: string | undefined, value: unknown, place: string): void {
    if (reference === undefined) return;
    const validate = ajv.getSchema(`firstlight${reference}`);
    if (validate === undefined) throw new Error(`the document has no ${reference}`);
    if (validate(value)) return;
    const faults = ajv.errorsText(validate.errors?.slice(0, 8), { separator: '\n' });
    throw new Error(`${place} is not as described:\n${faults}\n${JSON.stringify(value)}`);
  }

  /** For what clients send: what the document does not describe is no fault there. */
  validateLoosely(reference: string | undefined, value: unknown, place: string): void {
    this.#loose ??= validator().addSchema(this.document, 'firstlight');
    this.#validate(this.#loose, reference, value, place);
  }

  /** Paths without parameters first, as the server has it. */
  operation(method: string, path: string): OperationObject | undefined {
    const { paths } = this.document;
    const pattern = (template: string) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
    const names = paths[path] === undefined ? Object.keys(paths).filter((name) => pattern(name).test(path)) : [path];
    const name = names.find((each) => paths[each]?.[method.toLowerCase()] !== undefined);
    return name === undefined ? undefined : paths[name]?.[method.toLowerCase()];
  }

  /** Every `type` that an event, or a frame, of this schema may have. */
  typesOf(reference: string): readonly string[] {
    const name = reference.slice(reference.lastIndexOf('/') + 1);
    const walk = (schema: Record<string, Json>): readonly string[] => {
      if (typeof schema.$ref === 'string') return this.typesOf(schema.$ref);
      if (Array.isArray(schema.anyOf)) return (schema.anyOf as Record<string, Json>[]).flatMap(walk);
      const type = (schema.properties as Record<string, Record<string, Json>> | undefined)?.type;
      return typeof type?.const === 'string' ? [type.const] : ((type?.enum as string[] | undefined) ?? ['']);
    };
    return [...new Set(walk(this.document.components.schemas[name] as Record<string, Json>))];
  }

  #resolved(response: ResponseObject | undefined, place: string): ResponseObject {
    const name = response?.$ref?.slice(response.$ref.lastIndexOf('/') + 1);
    const resolved = name === undefined ? response : this.document.components.responses[name];
    if (resolved === undefined) throw new Error(`${place}: the document does not say that it is answered so`);
    return resolved;
  }
}

export interface Question {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Expected; 200 unless given. */
  readonly status?: number;
}

interface Answered {
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly text: string;
}

/** Asks a server, and holds each answer to its description. */
export class CheckedClient {
  readonly url: string;
  readonly document: PublishedDocument;

  private constructor(url: string, document: PublishedDocument) {
    this.url = url;
    this.document = document;
  }

  static async to(url: string, seen?: Set<string>): Promise<CheckedClient> {
    return new CheckedClient(url, await PublishedDocument.of(url, seen));
  }

  async ask(method: string, path: string, question: Question = {}): Promise<Answered> {
    return (await this.begin(method, path, question))();
  }

  /** Resolves when the answer's head has come; what it resolves to waits for the rest, and checks it all. */
  async begin(method: string, path: string, { body, headers = {}, status = 200 }: Question = {}) {
    const sent = isRaw(body) ? body : JSON.stringify(body);
    const answer = await fetch(this.url + path, { method, headers, ...(body === undefined ? {} : { body: sent }) });
    return async (): Promise<Answered> => {
      const bytes = Buffer.from(await answer.arrayBuffer());
      const isText = !answer.headers.get('content-type')?.startsWith('application/octet-stream');
      const text = isText ? String(bytes) : '';
      expect([method, path, answer.status, answer.status === status ? '' : text]).toEqual([method, path, status, '']);
      const observed = { method, path: new URL(this.url + path).pathname, status, headers: answer.headers, body: text };
      this.document.check(observed);
      return { headers: answer.headers, bytes: new Uint8Array(bytes), text };
    };
  }

  async json<Body = Record<string, unknown>>(method: string, path: string, question?: Question): Promise<Body> {
    return JSON.parse((await this.ask(method, path, question)).text) as Body;
  }
}

const isRaw = (body: unknown): body is string | Uint8Array<ArrayBuffer> =>
  typeof body === 'string' || body instanceof Uint8Array;

/**
 * Fails when an answer that goes well, or a kind of event, was not among what was seen.
 * @param tags the groups of operations to look at
 */
export const expectCovered = (published: PublishedDocument, tags: readonly string[]): void => {
  const { document, seen } = published;
  const expected = Object.values(document.paths)
    .flatMap((methods) => Object.values(methods))
    .filter((operation) => tags.some((tag) => operation.tags.includes(tag)))
    .flatMap((operation) => thingsToSee(published, operation));
  expect(expected.length).toBeGreaterThan(tags.length);
  expect(expected.filter((thing) => !seen.has(thing))).toEqual([]);
};

const thingsToSee = (published: PublishedDocument, operation: OperationObject): readonly string[] => {
  const { operationId, responses } = operation;
  const frames = operation['x-firstlight-websocket'];
  const events = (reference: string | undefined): string[] =>
    reference === undefined ? [] : published.typesOf(reference).map((type) => `event ${type}`);
  if (frames !== undefined) return [`${operationId} 101`, ...events(frames.server.$ref)];
  return Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([status, { content = {} }]) => [
      ...(Object.keys(content).length === 0 ? [`${operationId} ${status}`] : []),
      ...Object.entries(content).flatMap(([type, form]) => [
        `${operationId} ${status} ${type}`,
        ...(type === SSE_TYPE ? events(form.schema?.$ref) : []),
      ]),
    ]);
};
