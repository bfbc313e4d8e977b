/** Ends the KV sessions of agents that are no longer wanted. */
import type { Engine } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import type { CoordinationSession } from './session.ts';

const PAGE = 1000;

/** What later sessions find a permanent agent's KV by. A prefix has no colon, so none begins another's names. */
export const keptName = (prefix: string, displayName: string): string => `agent:${prefix}:${displayName}`;

/** What only this session knew goes with it; a permanent agent's KV stays. */
export const forgetAgents = async ({ agents, settings }: CoordinationSession, engine: Engine): Promise<void> => {
  for (const { cacheSession, isKept } of agents.values()) {
    if (!isKept) await forget(engine, settings.owner, cacheSession);
  }
};

/** The permanent agents of a prefix, whichever sessions they were in. */
export const forgetKept = async (prefix: string, owner: string, engine: Engine): Promise<void> => {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await engine.sessions.list(owner, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    names.push(...page.map(({ id }) => id));
    after = page.length === PAGE ? page.at(-1)?.id : undefined;
  } while (after !== undefined);
  for (const name of names) if (name.startsWith(keptName(prefix, ''))) await forget(engine, owner, name);
};

const forget = async (engine: Engine, owner: string, name: string): Promise<void> => {
  try {
    await engine.sessions.delete(owner, name);
  } catch (error) {
    // An agent that never spoke has no KV; another's may have been dropped by the engine already.
    if (!(error instanceof EngineError) || error.code !== 'not_found') throw error;
  }
};
