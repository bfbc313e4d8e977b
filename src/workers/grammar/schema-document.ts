/** Where a schema stands in its document, and what a local `$ref` points to. */
import { EngineError } from '../../runtime/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A schema and where it stands. */
export interface Located {
  readonly schema: JsonObject | boolean;
  /** JSON pointer from the document's root; empty: the root. */
  readonly pointer: string;
  /** The nearest schema around it with an `$id`, which its `$ref: '#…'` mean; absent: the root. */
  readonly base?: Located;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where other words than schemas stand. */
const LITERAL_KEYWORDS = new Set(['enum', 'const', 'default', 'examples', 'example']);

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
const unescapePointer = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~');

/** A JSON Schema document: finds what references mean and words errors. */
export class SchemaDocument {
  readonly root: Located;
  readonly #path: string;
  readonly #byId = new Map<string, Located>();

  /** @param path the request field that holds the schema, for errors; perhaps `: ` and which schema in it is meant */
  constructor(schema: JsonObject | boolean, path: string) {
    this.#path = path;
    this.root = { schema, pointer: '' };
    this.#index(schema, this.root, '');
  }

  /** Refuses the schema for a keyword at a place. */
  refuse(at: { readonly pointer: string }, keyword: string, what: string): never {
    const pointer = keyword === '' ? at.pointer : `${at.pointer}/${escapePointer(keyword)}`;
    const [field, which] = this.#path.split(': ', 2);
    const param = which === undefined ? `${field}${pointer.replaceAll('/', '.')}` : field!;
    throw new EngineError('invalid_request', `${this.#path}: the JSON Schema at #${pointer} ${what}`, { param });
  }

  /** The schema under some keys of another. */
  child(parent: Located, ...keys: readonly string[]): Located {
    let value: unknown = parent.schema;
    for (const key of keys) value = isObject(value) || Array.isArray(value) ? (value as JsonObject)[key] : undefined;
    const pointer = `${parent.pointer}${keys.map((key) => `/${escapePointer(key)}`).join('')}`;
    return this.#locate(value, pointer, parent.base);
  }

  /** What a `$ref` (or draft 2019's anchors and ids) of a schema points to. */
  resolve(from: Located, ref: unknown): Located {
    if (typeof ref !== 'string')
      return this.refuse(from, '$ref', 'is no text; write a local reference such as #/$defs/name');
    const [id = '', fragment = ''] = ref.split('#');
    const base = id === '' ? (from.base ?? this.root) : this.#byId.get(id);
    if (!base) {
      return this.refuse(
        from,
        '$ref',
        `refers to ${JSON.stringify(ref)}, outside of this schema; put its target under $defs and refer to that`,
      );
    }
    if (fragment === '') return base;
    if (!fragment.startsWith('/')) {
      const anchored = this.#byId.get(`${base.pointer}#${fragment}`);
      return anchored ?? this.refuse(from, '$ref', `refers to the anchor ${JSON.stringify(ref)}, which is nowhere`);
    }
    return this.#follow(from, base, ref, fragment);
  }

  #follow(from: Located, base: Located, ref: string, fragment: string): Located {
    let decoded = fragment;
    try {
      decoded = decodeURIComponent(fragment);
    } catch {
      this.refuse(from, '$ref', `is ${JSON.stringify(ref)}, which is no valid URI`);
    }
    let at = base;
    let value: unknown = base.schema;
    let pointer = base.pointer;
    for (const token of decoded.slice(1).split('/')) {
      const key = unescapePointer(token);
      const holds = (isObject(value) || Array.isArray(value)) && Object.hasOwn(value, key);
      if (!holds) this.refuse(from, '$ref', `refers to ${JSON.stringify(ref)}, which does not exist`);
      value = (value as JsonObject)[key];
      pointer += `/${token}`;
      if (isObject(value) && typeof value.$id === 'string') at = this.#locate(value, pointer, at.base);
    }
    return this.#locate(
      value,
      pointer,
      at.pointer === pointer ? at.base : at.pointer === '' ? undefined : (at.base ?? at),
    );
  }

  #locate(value: unknown, pointer: string, base: Located | undefined): Located {
    if (!isObject(value) && typeof value !== 'boolean') {
      return this.refuse({ pointer }, '', 'is no schema; write an object or a boolean');
    }
    const located = { schema: value, pointer, ...(base ? { base } : {}) };
    return isObject(value) && isResource(value) && pointer !== '' ? withOwnBase(located) : located;
  }

  #index(value: unknown, base: Located, pointer: string): void {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.#index(item, base, `${pointer}/${i}`);
      return;
    }
    if (!isObject(value)) return;
    const isNested = pointer !== '' && isResource(value);
    const own = isNested ? withOwnBase({ schema: value, pointer }) : base;
    const here: Located = pointer === '' ? this.root : isNested ? own : { schema: value, pointer, base };
    if (typeof value.$id === 'string') {
      if (value.$id.startsWith('#')) this.#byId.set(`${own.pointer}${value.$id}`, here);
      else this.#byId.set(value.$id.replace(/#$/, ''), here);
    }
    if (typeof value.$anchor === 'string') this.#byId.set(`${own.pointer}#${value.$anchor}`, here);
    for (const [key, item] of Object.entries(value)) {
      if (!LITERAL_KEYWORDS.has(key)) this.#index(item, own, `${pointer}/${escapePointer(key)}`);
    }
  }
}

const isResource = ({ $id }: JsonObject): boolean => typeof $id === 'string' && !$id.startsWith('#');

const withOwnBase = ({ schema, pointer }: Located): Located => {
  const base: Located = { schema, pointer };
  return { schema, pointer, base };
};
