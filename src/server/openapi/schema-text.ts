/** A JSON Schema as people read it: a type of TypeScript, in HTML, with links to the schemas it names. */
import type { Json } from './component-schemas.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);

export const schemaLink = (ref: string): string => {
  const name = ref.slice(ref.lastIndexOf('/') + 1);
  return `<a href="#schema-${name}">${name}</a>`;
};

const INDENT = '  ';
/** A union that is longer takes a line for each member. */
const MAX_UNION_LENGTH = 100;

/** @param indent of the line that it begins on */
export const schemaText = (schema: Json, indent = ''): string => {
  const { $ref, type, enum: values, anyOf, allOf, items } = schema;
  if (typeof $ref === 'string') return schemaLink($ref);
  if ('const' in schema) return literal(schema.const);
  if (Array.isArray(values)) return union(values.map(literal), indent);
  if (Array.isArray(anyOf))
    return union(
      (anyOf as Json[]).map((each) => schemaText(each, indent)),
      indent,
    );
  if (Array.isArray(allOf)) return (allOf as Json[]).map((each) => schemaText(each, indent)).join(' & ');
  if (Array.isArray(type)) return type.join(' | ');
  if (type === 'array') return listText(schemaText((items ?? {}) as Json, indent));
  if (type === 'object') return objectText(schema, indent);
  return typeof type === 'string' ? type + boundsText(schema) : 'unknown';
};

const literal = (value: unknown): string => escaped(JSON.stringify(value) ?? 'undefined');

const union = (members: readonly string[], indent: string): string => {
  const line = members.join(' | ');
  const length = line.replaceAll(/<[^>]*>/g, '').length;
  if (length <= MAX_UNION_LENGTH || members.some((member) => member.includes('\n'))) return line;
  return members.map((member) => `\n${indent}${INDENT}| ${member}`).join('');
};

const listText = (item: string): string => (/[|&]\s/.test(item) && !item.startsWith('{') ? `(${item})[]` : `${item}[]`);

const objectText = ({ properties = {}, required = [], additionalProperties }: Json, indent: string): string => {
  const inner = indent + INDENT;
  const isRequired = (name: string): boolean => (required as readonly string[]).includes(name);
  const fields = Object.entries(properties as Record<string, Json>).map(([name, schema]) => {
    const { description } = schema;
    const remark = typeof description === 'string' ? `<i>${inner}// ${escaped(description)}</i>\n` : '';
    return `${remark}${inner}<b>${escaped(name)}</b>${isRequired(name) ? '' : '?'}: ${schemaText(schema, inner)}\n`;
  });
  const others =
    additionalProperties === undefined || additionalProperties === false
      ? []
      : [`${inner}[key: string]: ${schemaText(additionalProperties as Json, inner)}\n`];
  const lines = [...fields, ...others];
  return lines.length === 0 ? '{}' : `{\n${lines.join('')}${indent}}`;
};

/** ` 1…128`; nothing where there are no bounds. */
const boundsText = (schema: Json): string => {
  const [low, high] = [
    schema.minimum ?? schema.exclusiveMinimum ?? schema.minLength,
    schema.maximum ?? schema.exclusiveMaximum ?? schema.maxLength,
  ];
  const bounds = low === undefined && high === undefined ? '' : ` <i>${low ?? ''}…${high ?? ''}</i>`;
  return typeof schema.format === 'string' ? `${bounds} <i>${schema.format}</i>` : bounds;
};
