/** Requests over HTTP, and what their answers say. */
import { ApiError, ConnectionError } from './client-error.ts';

export interface HttpOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof globalThis.fetch;
}

export const keyHeaders = ({ apiKey }: Pick<HttpOptions, 'apiKey'>): Record<string, string> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

/** Resolves with the answer's head, whatever its status. @throws ConnectionError, the signal's reason */
export const request = async (options: HttpOptions, path: string, init: RequestInit): Promise<Response> => {
  const { baseUrl, fetch } = options;
  try {
    return await fetch(baseUrl + path, { ...init, headers: { ...keyHeaders(options), ...init.headers } });
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new ConnectionError(`the server at ${baseUrl} could not be reached`, { cause: error });
  }
};

/** The answer, when it is none of refusal. @throws ApiError */
export const accepted = async (answer: Response): Promise<Response> => {
  if (answer.ok) return answer;
  const text = await answer.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Whatever stands between us and the server may answer in its own words.
  }
  throw new ApiError(answer.status, body);
};
