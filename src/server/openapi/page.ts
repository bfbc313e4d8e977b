/** The API's description as one page: no script, and nothing that is fetched from elsewhere. */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Operation } from '../operation.ts';
import { schemaOf } from './document.ts';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid #8884; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
.method { display: inline-block; width: 4.5rem; font-weight: 600; }
.GET { color: #2a7de1; } .POST { color: #2e9d5b; } .DELETE { color: #d0473d; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; max-height: 30rem; background: #8881; padding: .8rem; border-radius: 6px; }
p { margin: .4rem 0; } .path { margin-right: 1rem; }
`;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);

const schemaText = (schema: z.ZodType): string => JSON.stringify(schemaOf(schema), undefined, 2);

const queryLine = ([name, what]: readonly [string, string]): string =>
  `<p><code>?${escaped(name)}=</code> ${escaped(what)}</p>`;

const section = ({ method, path, summary, body, bodyIsOptional, query = {}, takes, answers }: Operation): string => `
<details>
<summary><span class="method ${method}">${method}</span><code class="path">${escaped(path)}</code>${escaped(summary)}</summary>
${Object.entries(query).map(queryLine).join('\n')}
${takes === undefined ? '' : `<p>Takes <code>${escaped(takes)}</code>.</p>`}
${answers === undefined ? '' : `<p>Answers <code>${escaped(answers)}</code>.</p>`}
${body === undefined ? '' : `<p>Body${bodyIsOptional ? ', which may be left out' : ''}:</p><pre>${escaped(schemaText(body))}</pre>`}
</details>`;

/** What browsers may do with the page: apply its own style, and nothing else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const documentPage = (operations: readonly Operation[]): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Firstlight</title>
<style>${STYLE}</style>
<h1>Firstlight</h1>
<p>Everything that this server answers. The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
${operations.map(section).join('')}
</html>
`;
