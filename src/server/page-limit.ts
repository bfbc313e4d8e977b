/** `?limit=` of lists, checked and described alike. */
import { invalidParam } from './dialects/body-schema.ts';
import type { QueryParameter } from './operation.ts';

export interface PageLimit {
  readonly max: number;
  /** Where the query says nothing; absent: everything. */
  readonly otherwise?: number;
}

/** @throws EngineError invalid_request */
export const pageLimit = (query: URLSearchParams, { max, otherwise = Number.MAX_SAFE_INTEGER }: PageLimit): number => {
  const text = query.get('limit');
  if (text === null) return otherwise;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= max) return limit;
  throw invalidParam('limit', `must be an integer from 1 to ${max}, got '${text}'`);
};

export const limitParameter = ({ max, otherwise }: PageLimit): QueryParameter => ({
  description: otherwise === undefined ? 'entries of a page; absent: all' : 'entries of a page',
  schema: {
    type: 'integer',
    minimum: 1,
    maximum: max,
    ...(otherwise === undefined ? {} : { default: otherwise }),
  },
});
