/** Finds out whether a Firstlight server answers at a URL, and what it serves. */
import { EngineError } from '../runtime/errors.ts';
import type { LaunchTarget } from './launch-clients.ts';

const TIMEOUT_MS = 3_000;

/** Undefined when nothing answers there. */
const ask = async (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response | undefined> => {
  try {
    return await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    return undefined; // Refused, unreachable or silent: to whoever asks it is all the same.
  }
};

const json = async (response: Response): Promise<Readonly<Record<string, unknown>>> => {
  try {
    const body: unknown = await response.json();
    return typeof body === 'object' && body !== null ? { ...body } : {};
  } catch {
    return {}; // Something else than Firstlight answers here.
  }
};

/**
 * The server at `url`; undefined when none answers, or none of ours.
 * @throws EngineError unauthorized when it wants another key; shutting_down when it is ending
 */
export const findServer = async (url: string, apiKey: string | undefined): Promise<LaunchTarget | undefined> => {
  const base = url.replace(/\/+$/, '');
  const health = await ask(`${base}/health`, keyHeaders(apiKey));
  if (health === undefined) return undefined;
  if (health.status === 401) throw refused(base);
  const { status } = await json(health);
  if (status === 'draining') throw new EngineError('shutting_down', `${base}: the server is shutting down`);
  if (status !== 'ok' && status !== 'degraded') return undefined;
  const models = await ask(`${base}/v1/models`, keyHeaders(apiKey));
  if (models === undefined) return undefined;
  if (models.status === 401) throw refused(base);
  const served = servedModel((await json(models)).data);
  return served && { url: base, apiKey, ...served };
};

/** Undefined where the list is not one of ours: others answer these paths, too. */
const servedModel = (data: unknown): Pick<LaunchTarget, 'model' | 'contextLength'> | undefined => {
  const [first] = Array.isArray(data) ? (data as readonly unknown[]) : [];
  const { id, owned_by: owner, context_length: contextLength } = { ...(first as Readonly<Record<string, unknown>>) };
  if (owner !== 'firstlight' || typeof id !== 'string' || typeof contextLength !== 'number') return undefined;
  return { model: id, contextLength };
};

const keyHeaders = (apiKey: string | undefined): Readonly<Record<string, string>> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

const refused = (url: string): EngineError =>
  new EngineError('unauthorized', `${url}: the server asks for a key: pass it with --api-key or FIRSTLIGHT_API_KEYS`);
