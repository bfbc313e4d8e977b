/** JSON objects that are compiled when an answer gets to them, and until then are any balanced text. */
import { stringTail } from './automaton-rules.ts';
import { Insets } from './insets.ts';
import { schemaRule } from './json-schema.ts';
import { byteClass, type Ref, RuleBook } from './rule-book.ts';
import { isObject } from './schema-document.ts';

/** Up to and with the closing brace: quotes and brackets in pairs, and between them what JSON may hold. */
const looseRest = (book: RuleBook): Ref =>
  book.once('loose', () => {
    const rest = book.reserve('loose');
    const list = book.reserve('loose');
    const plain = '[\\x09-\\x0a\\x0d-\\x0d\\x20-\\x21\\x23-\\x5a\\x5c-\\x5c\\x5e-\\x7a\\x7c-\\x7c\\x7e-\\x7e]';
    const inside = (self: Ref) => [
      [plain, self],
      ['"\\""', stringTail(book), self],
      ['"{"', rest, self],
      ['"["', list, self],
    ];
    book.define(rest, [['"}"'], ...inside(rest)]);
    book.define(list, [['"]"'], ...inside(list)]);
    return rest;
  });

/**
 * The rule of objects that satisfy a schema, to be compiled later; undefined where the schema does not say that all its
 * values are objects.
 * @throws EngineError invalid_request: as for `schemaRule`, at once
 */
export const objectInsetRule = (
  book: RuleBook,
  insets: Insets,
  schema: Readonly<Record<string, unknown>> | boolean,
  path: string,
): Ref | undefined => {
  if (!isObject(schema) || schema.type !== 'object' || Object.keys(schema).length === 1) return undefined;
  const marker = insets.add(JSON.stringify(schema), () => {
    const own = new RuleBook(path);
    const inner = new Insets();
    const root = own.reserve('answer');
    own.define(root, [[schemaRule(own, schema, path, inner), '[\\x00-\\xff]*']]);
    return { kind: 'object', grammar: own.text(root), insets: inner };
  });
  const content = book.rule('content', [marker.map((byte) => byteClass([[byte, byte]])), [looseRest(book)]]);
  return book.rule('object', [['"{"', content]]);
};
