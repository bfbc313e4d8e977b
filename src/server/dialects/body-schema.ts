/** Checks a request body against a zod schema; the first fault becomes one sentence that names field, value and limit. */
import { z } from 'zod';
import { EngineError } from '../../runtime/errors.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const MAX_QUOTED_LENGTH = 60;

/**
 * The body, or the part of it at `place`, as `schema` says.
 * @throws EngineError invalid_request, with `param` and `reason`
 */
export const parseBody = <Schema extends z.ZodType>(schema: Schema, body: unknown, place = ''): z.output<Schema> => {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { issue, path } = innermost(parsed.error.issues[0] as Issue);
  const { message, reason } = describe(issue, valueAt(body, path));
  const param = [...(place === '' ? [] : [place]), ...path.map(String)].join('.');
  throw invalidParam(param || 'body', message, reason);
};

/** @param message what is wrong, without the field's name */
export const invalidParam = (param: string, message: string, reason = 'invalid_value'): EngineError =>
  new EngineError('invalid_request', `${param}: ${message}`, { param, reason });

/** A field that asks for what this version cannot do. */
export const unsupportedParam = (param: string, what: string): EngineError =>
  new EngineError('not_supported', `${param}: ${what} not supported by this server yet; leave it out`, { param });

/** An optional field; clients write null for absent. */
export const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish();

/** zod does not say in its faults whether a bound is an integer's; the message carries it. */
const INTEGER = 'integer';

export const integer = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) =>
  z.int().min(minimum, INTEGER).max(maximum, INTEGER);

/** A union fails with one list of faults for each member: follow the member that fits the value's outer shape. */
const innermost = (issue: Issue, prefix: Path = []): { issue: Issue; path: Path } => {
  const path = [...prefix, ...issue.path];
  if (issue.code !== 'invalid_union') return { issue, path };
  const fits = issue.errors.find((branch) => branch[0] !== undefined && !isOuterTypeFault(branch[0]));
  return fits?.[0] === undefined ? { issue, path } : innermost(fits[0], path);
};

const isOuterTypeFault = (issue: Issue): boolean => issue.code === 'invalid_type' && issue.path.length === 0;

const valueAt = (body: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    body,
  );

const describe = (issue: Issue, value: unknown): { message: string; reason: string } => {
  const got = `got ${quote(value)}`;
  if (value === undefined) return { message: 'Field required', reason: 'missing_required_parameter' };
  switch (issue.code) {
    case 'invalid_type':
      return { message: `must be ${article(issue.expected)}, ${got}`, reason: 'invalid_type' };
    case 'too_small':
    case 'too_big':
      return describeSize(issue, got);
    case 'invalid_value':
      return { message: `must be one of ${issue.values.map(String).join(', ')}; ${got}`, reason: 'invalid_value' };
    case 'invalid_union':
      return describeUnion(issue, got);
    case 'not_multiple_of':
      return {
        message: `must be ${issue.divisor === 1 ? 'an integer' : `a multiple of ${issue.divisor}`}, ${got}`,
        reason: 'invalid_type',
      };
    default:
      return { message: `${issue.message}; ${got}`, reason: 'invalid_value' };
  }
};

const describeSize = (issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, got: string) => {
  const isSmall = issue.code === 'too_small';
  const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
  const relation = `${isSmall ? 'at least' : 'at most'} ${limit}`;
  const side = isSmall ? 'below_min' : 'above_max';
  if (issue.origin === 'array' || issue.origin === 'string') {
    const unit = issue.origin === 'array' ? 'items' : 'characters';
    return { message: `must have ${relation} ${unit}`, reason: `${issue.origin}_${side}_length` };
  }
  const kind = issue.message === INTEGER ? 'integer' : 'decimal';
  return {
    message: `must be ${issue.inclusive === false ? 'beyond' : ''} ${relation}, ${got}`.replace('  ', ' '),
    reason: `${kind}_${side}_value`,
  };
};

const describeUnion = (issue: z.core.$ZodIssueInvalidUnion, got: string): { message: string; reason: string } => {
  const options = (issue as { options?: readonly unknown[] }).options;
  if (options !== undefined)
    return { message: `must be one of ${options.join(', ')}; ${got}`, reason: 'invalid_value' };
  const expected = issue.errors.flatMap((branch) => (branch[0]?.code === 'invalid_type' ? [branch[0].expected] : []));
  return { message: `must be ${[...new Set(expected)].map(article).join(' or ')}, ${got}`, reason: 'invalid_type' };
};

const article = (type: string): string => {
  const name = type === 'int' ? 'integer' : type === 'record' ? 'object' : type;
  return `${/^[aeio]/.test(name) ? 'an' : 'a'} ${name}`;
};

const quote = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text;
};
