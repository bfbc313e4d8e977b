/** The API's description as one page: no script, and nothing that is fetched from elsewhere. */
import { createHash } from 'node:crypto';
import type { Json } from './component-schemas.ts';
import type { openapiDocument } from './document.ts';
import { escaped, schemaLink, schemaText } from './schema-text.ts';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 1.6rem 0 .4rem; font-size: 1.15rem; } h2 + p { margin-top: 0; }
details { border: 1px solid #8884; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
.method { display: inline-block; width: 4.5rem; font-weight: 600; }
.get { color: #2a7de1; } .post { color: #2e9d5b; } .delete { color: #d0473d; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; background: #8881; padding: .8rem; border-radius: 6px; }
pre b { font-weight: 600; } i { opacity: .65; font-style: normal; }
p { margin: .4rem 0; } .path { margin-right: 1rem; }
table { border-collapse: collapse; margin: .4rem 0; } td { padding: .15rem 1rem .15rem 0; vertical-align: top; } td:first-child { white-space: nowrap; }
`;

type Document = ReturnType<typeof openapiDocument>;

interface OperationObject {
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Json[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, MediaType> };
  readonly responses: Readonly<Record<string, ResponseObject>>;
  readonly 'x-firstlight-websocket'?: { readonly client: { $ref: string }; readonly server: { $ref: string } };
}

interface MediaType {
  readonly schema?: Json;
}

interface ResponseObject {
  readonly $ref?: string;
  readonly description?: string;
  readonly content?: Readonly<Record<string, MediaType>>;
}

/** `application/json ChatCompletion`. */
const formText = ([type, { schema }]: readonly [string, MediaType]): string =>
  `<code>${type}</code> ${typeof schema?.$ref === 'string' ? schemaLink(schema.$ref) : ''}`;

const formsText = (content: Readonly<Record<string, MediaType>> = {}): string =>
  Object.entries(content).map(formText).join('<br>');

const row = (...cells: readonly string[]): string => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
const table = (rows: readonly string[]): string => (rows.length === 0 ? '' : `<table>${rows.join('\n')}</table>`);

const parameterRow = ({ name, in: place, description = '', schema }: Json): string =>
  row(`<code>${name}</code>`, String(place), `<code>${schemaText(schema as Json)}</code>`, prose(String(description)));

/** Text with `code` in it. */
const prose = (text: string): string => escaped(text).replaceAll(/`([^`]*)`/g, '<code>$1</code>');

const section = (document: Document, method: string, path: string, operation: OperationObject): string => {
  const { summary, description, parameters = [], requestBody: body, responses } = operation;
  const answers = Object.entries(responses)
    .filter(([, { $ref }]) => $ref === undefined)
    .map(([status, { description: meaning = '', content }]) =>
      row(`<code>${status}</code>`, formsText(content), prose(meaning)),
    );
  const frames = operation['x-firstlight-websocket'];
  return `
<details>
<summary><span class="method ${method}">${method.toUpperCase()}</span><code class="path">${escaped(path)}</code>${escaped(summary)}</summary>
${description === undefined ? '' : `<p>${prose(description)}</p>`}
${table(parameters.map(parameterRow))}
${body === undefined ? '' : `<p>Body${body.required ? '' : ', which may be left out'}: ${formsText(body.content)}</p>`}
${frames === undefined ? '' : `<p>Frames of the client: ${schemaLink(frames.client.$ref)}; of the server: ${schemaLink(frames.server.$ref)}</p>`}
${table(answers)}
<p>Errors: ${errorsText(document, responses)}</p>
</details>`;
};

/** Their statuses, and what they look like: they are the same for all operations of one dialect. */
const errorsText = ({ components }: Document, responses: OperationObject['responses']): string => {
  const errors = Object.entries(responses).filter(([, { $ref }]) => $ref !== undefined);
  const name = errors[0]?.[1].$ref?.replace(/^.*\//, '') ?? '';
  const { content } = components.responses[name] as ResponseObject;
  return `${errors.map(([status]) => `<code>${status}</code>`).join(' ')} ${formsText(content)}`;
};

/** What each status means, whatever it is answered to. */
const statusRows = ({ paths, components }: Document): readonly string[] => {
  const operations = Object.values(paths).flatMap((methods) =>
    Object.values(methods as Record<string, OperationObject>),
  );
  const meanings = operations.flatMap(({ responses }) =>
    Object.entries(responses).flatMap(([status, { $ref }]) => {
      if ($ref === undefined) return [];
      const { description = '' } = components.responses[$ref.replace(/^.*\//, '')] as ResponseObject;
      return [[status, description] as const];
    }),
  );
  return [...new Map(meanings)].sort().map(([status, meaning]) => row(`<code>${status}</code>`, prose(meaning)));
};

const groupText = (document: Document, { name, description }: Document['tags'][number]): string => {
  const sections = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, OperationObject>)
      .filter(([, { tags }]) => tags.includes(name))
      .map(([method, operation]) => section(document, method, path, operation)),
  );
  return `<h2>${escaped(name)}</h2><p>${escaped(description)}</p>${sections.join('')}`;
};

/** Browsers open what is folded around a link's target: the target is inside. */
const schemaSection = ([name, schema]: readonly [string, Json]): string => `
<details>
<summary><code>${name}</code></summary>
<p id="schema-${name}">${typeof schema.description === 'string' ? prose(schema.description) : ''}</p>
<pre>${schemaText(schema)}</pre>
</details>`;

/** What browsers may do with the page: apply its own style, and nothing else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const documentPage = (document: Document): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Firstlight</title>
<style>${STYLE}</style>
<h1>Firstlight</h1>
<p>Everything that this server answers. The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
${document.tags.map((tag) => groupText(document, tag)).join('')}
<h2>Errors</h2>
${table(statusRows(document))}
<h2>Schemas</h2>
${Object.entries(document.components.schemas).map(schemaSection).join('')}
</html>
`;
