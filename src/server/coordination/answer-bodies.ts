/** What the coordination routes answer. Field names are those of agent-memory's server; what it lacks is added beside. */
import type { Usage } from '../../runtime/api.ts';
import { usageBody } from '../dialects/openai.ts';
import type { StreamEvent } from './answer-stream.ts';
import { type Agent, type CoordinationSession, type Message, SYSTEM_SENDER } from './session.ts';
import type { TurnEvent } from './turns.ts';
import { type Ballot, type Poll, tallyOf } from './vote.ts';

export const createdBody = (session: CoordinationSession): object => {
  const { topology, debateFormat, decisionMode, ttlSeconds } = session.settings;
  return {
    session_id: session.id,
    agents: [...session.agents.values()].map((agent) => ({ ...roleBody(agent), system_prompt: agent.systemPrompt })),
    topology,
    debate_format: debateFormat,
    decision_mode: decisionMode,
    status: statusOf(session),
    created_at: session.createdAt,
    ttl_seconds: ttlSeconds,
  };
};

export const sessionBody = (session: CoordinationSession): object => {
  const { agentIds, position } = session.order;
  return {
    session_id: session.id,
    topology: session.settings.topology,
    status: statusOf(session),
    current_turn: session.numTurns,
    is_active: session.isActive,
    next_speaker: session.isActive ? agentIds[position] : null,
    agent_states: [...session.agents.values()].map((agent) => ({
      ...roleBody(agent),
      message_count: session.messages.filter(({ senderId }) => senderId === agent.agentId).length,
      cache_session: agent.cacheSession,
    })),
  };
};

/** With what the list leaves out. */
export const sessionDetailBody = (session: CoordinationSession): object => ({
  ...createdBody(session),
  ...sessionBody(session),
  votes: [...session.polls].map((poll) => tallyBody(session, poll)),
});

export const messageBody = (session: CoordinationSession, message: Message): object => ({
  message_id: message.id,
  sender_id: message.senderId,
  sender_name: message.senderName,
  content: message.text,
  turn_number: message.turnNumber,
  channel_type: message.toAgentId === undefined ? 'public' : 'whisper',
  is_interrupted: message.isInterrupted,
  ...(message.toAgentId === undefined ? {} : { to_agent_id: message.toAgentId }),
  ...(message.usage === undefined ? {} : { usage: usageBody(message.usage) }),
  role: message.senderId === SYSTEM_SENDER ? 'system' : session.agents.has(message.senderId) ? 'agent' : 'user',
});

export const tallyBody = (session: CoordinationSession, poll: Poll): object => {
  const tally = tallyOf(poll, session.settings.decisionMode);
  const { question, totalVotes, abstentions, results, rounds, winner, isTied } = tally;
  return {
    question,
    total_votes: totalVotes,
    abstentions,
    results,
    ...(rounds === undefined ? {} : { rounds }),
    winner: winner ?? null,
    tied: isTied,
    ballots: [...poll.ballots.values()].map(ballotBody),
  };
};

export const eventBody = (session: CoordinationSession, event: TurnEvent): StreamEvent => {
  const { type, agent } = event;
  const common = { type, agent_id: agent.agentId, agent_name: agent.displayName };
  if (type === 'turn_start') return { ...common, turn: event.turn };
  if (type === 'token') return { ...common, text: event.text };
  if (type === 'ballot') return { ...common, ...ballotBody(event.ballot) };
  const { text, turnNumber } = event.message;
  return { ...common, content: text, turn: turnNumber + 1, message: messageBody(session, event.message) };
};

export const usageTotal = (usages: readonly Usage[]): Usage => {
  const sum = (read: (usage: Usage) => number): number => usages.reduce((total, usage) => total + read(usage), 0);
  return {
    promptTokens: sum((usage) => usage.promptTokens),
    cachedTokens: sum((usage) => usage.cachedTokens),
    completionTokens: sum((usage) => usage.completionTokens),
    reasoningTokens: sum((usage) => usage.reasoningTokens),
  };
};

const statusOf = (session: CoordinationSession): string => (session.isActive ? 'active' : 'completed');

const roleBody = ({ agentId, displayName, role, lifecycle }: Agent) => ({
  agent_id: agentId,
  display_name: displayName,
  role,
  lifecycle,
});

const ballotBody = ({ agentId, choice, ranking, abstention, answer }: Ballot) => ({
  agent_id: agentId,
  choice: choice ?? null,
  ...(ranking === undefined ? {} : { ranking }),
  ...(abstention === undefined ? {} : { abstention }),
  ...(answer === undefined ? {} : { answer }),
});
