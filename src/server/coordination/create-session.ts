/** From the body of `POST /v1/coordination/sessions` to a session's settings. */
import { randomUUID } from 'node:crypto';
import type { ModelDescription, SamplingParameters } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../../runtime/sampling.ts';
import { invalidParam, unsupportedParam } from '../dialects/body-schema.ts';
import { modelNotFound } from '../dialects/openai.ts';
import type { CreateBody, TurnSampling } from './bodies.ts';
import { DEBATE_INSTRUCTIONS, type DebateFormat } from './debate-formats.ts';
import { keptName } from './forget-agents.ts';
import { type AgentRole, CoordinationSession, MAX_CHARACTERS, type SessionSettings, SYSTEM_SENDER } from './session.ts';
import type { Topology } from './topology.ts';
import type { DecisionMode } from './vote.ts';

const DEFAULT_TTL_SECONDS = 3600;
const DEFAULT_TURN_TOKENS = 256;

type AgentBody = CreateBody['agents'][number];

/** @throws EngineError invalid_request, not_supported, model_not_found */
export const createSession = (body: CreateBody, owner: string, model: ModelDescription): CoordinationSession => {
  checkModels(body, model);
  const topology = body.topology ?? 'turn_by_turn';
  const id = `coord_${randomUUID().replaceAll('-', '')}`;
  const session = new CoordinationSession(id, {
    owner,
    topology,
    debateFormat: body.debate_format ?? 'free_form',
    decisionMode: decisionMode(body),
    agents: agentsOf(body, id, topology),
    maxTurns: body.max_turns ?? 0,
    maxTokens: body.max_tokens ?? DEFAULT_TURN_TOKENS,
    sampling: samplingOf(body, DEFAULT_SAMPLING),
    ttlSeconds: body.ttl_seconds ?? DEFAULT_TTL_SECONDS,
  });
  if (!session.isActive) {
    throw invalidParam('agents', `all system prompts together must have less than ${MAX_CHARACTERS} characters`);
  }
  if (body.initial_prompt) session.post(SYSTEM_SENDER, 'System', body.initial_prompt);
  return session;
};

/** What the body says, over what holds otherwise. */
export const samplingOf = (body: TurnSampling, otherwise: SamplingParameters): SamplingParameters => {
  const seed = body.seed ?? otherwise.seed;
  return {
    ...otherwise,
    temperature: body.temperature ?? otherwise.temperature,
    topP: body.top_p ?? otherwise.topP,
    ...(seed === undefined ? {} : { seed }),
  };
};

const checkModels = (body: CreateBody, model: ModelDescription): void => {
  const named = body.agents.map((agent, index) => [`agents.${index}.model`, agent.model] as const);
  for (const [param, name] of [['model', body.model] as const, ...named]) {
    if (name === undefined || name === null || name === model.id) continue;
    throw new EngineError('model_not_found', `${param}: ${modelNotFound(name, model).message}`, { param });
  }
};

const decisionMode = ({ decision_mode: mode, prior_agent_messages: prior }: CreateBody): DecisionMode => {
  if (prior && Object.keys(prior).length > 0) throw unsupportedParam('prior_agent_messages', 'earlier messages are');
  if (mode === 'coordinator_decides') throw unsupportedParam('decision_mode', `'${mode}' is`);
  return mode ?? 'none';
};

const agentsOf = (body: CreateBody, id: string, topology: Topology): SessionSettings['agents'] => {
  if (topology === 'whisper' && body.agents.length < 2) {
    throw invalidParam('agents', 'topology whisper needs at least 2 agents, got 1');
  }
  checkUnique(body.agents, 'display_name');
  checkUnique(body.agents, 'agent_id');
  const names = body.agents.map((agent) => agent.display_name);
  const stranger = Object.keys(body.per_agent_prompts ?? {}).find((name) => !names.includes(name));
  if (stranger !== undefined) throw invalidParam(`per_agent_prompts.${stranger}`, 'no agent has this display_name');
  const format = body.debate_format ?? 'free_form';
  return body.agents.map((agent) => {
    const role = roleOf(agent, id, body.persistent_cache_prefix ?? '');
    const own = body.per_agent_prompts?.[agent.display_name] ?? '';
    return { ...role, system: systemText(role, names, format, own) };
  });
};

const checkUnique = (agents: readonly AgentBody[], field: 'display_name' | 'agent_id'): void => {
  const values = agents.map((agent) => agent[field] ?? undefined);
  const index = values.findIndex((value, at) => value !== undefined && values.indexOf(value) !== at);
  if (index < 0) return;
  throw invalidParam(`agents.${index}.${field}`, `'${values[index]}' is another agent's, too: give each its own`);
};

/** A permanent agent keeps its KV under a name that later sessions with the same prefix find again. */
const roleOf = (agent: AgentBody, sessionId: string, prefix: string): AgentRole => {
  const agentId = agent.agent_id ?? `agent_${randomUUID().slice(0, 8)}`;
  const lifecycle = agent.lifecycle ?? 'ephemeral';
  const isKept = lifecycle === 'permanent' && prefix !== '';
  return {
    agentId,
    displayName: agent.display_name,
    role: agent.role ?? 'participant',
    systemPrompt: agent.system_prompt ?? '',
    lifecycle,
    cacheSession: isKept ? keptName(prefix, agent.display_name) : `${sessionId}:${agentId}`,
    isKept,
  };
};

const systemText = (
  { displayName, role, systemPrompt }: AgentRole,
  names: readonly string[],
  format: DebateFormat,
  own: string,
): string => {
  const others = names.filter((name) => name !== displayName);
  const company = others.length === 0 ? '' : ` with ${others.join(', ')}`;
  const place = `You are ${displayName} (${role}) in a conversation${company}. Say only what ${displayName} says.`;
  return [systemPrompt, place, DEBATE_INSTRUCTIONS[format], own].filter((part) => part !== '').join('\n\n');
};
