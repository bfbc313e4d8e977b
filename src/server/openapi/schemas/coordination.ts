/** Conversations of several agents, under agent-memory's names. */
import { z } from 'zod';
import { DEBATE_FORMATS } from '../../coordination/debate-formats.ts';
import { TOPOLOGIES } from '../../coordination/topology.ts';
import { DECISION_MODES } from '../../coordination/vote.ts';
import { completionUsage } from './usage.ts';

const roleFields = {
  agent_id: z.string(),
  display_name: z.string(),
  role: z.string(),
  lifecycle: z.enum(['ephemeral', 'permanent']),
};
const status = z.enum(['active', 'completed']);

export const coordinationAgent = z.object({ ...roleFields, system_prompt: z.string() });

const createdFields = {
  session_id: z.string(),
  agents: z.array(coordinationAgent),
  topology: z.enum(TOPOLOGIES),
  debate_format: z.enum(DEBATE_FORMATS),
  decision_mode: z.enum(DECISION_MODES),
  status,
  created_at: z.int().describe('Unix seconds.'),
  ttl_seconds: z.int(),
};

export const coordinationSession = z.object(createdFields).describe('A new conversation of several agents.');

export const coordinationAgentState = z.object({
  ...roleFields,
  message_count: z.int().min(0),
  cache_session: z.string().describe('The session that keeps its KV.'),
});

const stateFields = {
  session_id: z.string(),
  topology: z.enum(TOPOLOGIES),
  status,
  current_turn: z.int().min(0).describe('Turns taken.'),
  is_active: z.boolean(),
  next_speaker: z.string().nullable().describe('Null when no more turns can be taken.'),
  agent_states: z.array(coordinationAgentState),
};

export const coordinationState = z.object(stateFields).describe('How far a conversation of several agents has come.');

export const coordinationBallot = z.object({
  agent_id: z.string(),
  choice: z.string().nullable().describe('Null: an abstention.'),
  ranking: z.array(z.string()).optional().describe('The choice first.'),
  abstention: z
    .enum(['abstained', 'invalid'])
    .optional()
    .describe('`invalid`: what the agent said is none of the options.'),
  answer: z.string().optional().describe('What the agent said; absent for ballots that the caller cast.'),
});

const votes = z.record(z.string(), z.int().min(0));

const tallyFields = {
  question: z.string(),
  total_votes: z.int().min(0),
  abstentions: z.int().min(0),
  results: votes.describe('Votes of each option; of a ranked choice, first choices.'),
  rounds: z.array(votes).optional().describe('Of a ranked choice: the votes that each round counted.'),
  winner: z.string().nullable().describe('Null: a tie, no votes, or fewer than the decision mode asks for.'),
  tied: z.boolean(),
  ballots: z.array(coordinationBallot),
};

export const coordinationTally = z.object(tallyFields).describe('The votes on one question.');

export const coordinationDetails = z
  .object({ ...createdFields, ...stateFields, votes: z.array(coordinationTally) })
  .describe('A conversation of several agents.');

export const coordinationList = z.object({ sessions: z.array(coordinationState).describe('Oldest first.') });

const messageFields = {
  message_id: z.string(),
  sender_id: z.string(),
  sender_name: z.string(),
  content: z.string(),
  turn_number: z.int().min(0).describe('Turns taken before it.'),
  channel_type: z.enum(['public', 'whisper']),
  is_interrupted: z.boolean(),
  to_agent_id: z.string().optional().describe('Of a whisper.'),
  usage: completionUsage.optional().describe('Of the turn that made it.'),
  role: z.enum(['system', 'agent', 'user']),
};

export const coordinationMessage = z.object(messageFields).describe('Something said, by an agent or from outside.');

export const coordinationMessages = z.object({ session_id: z.string(), messages: z.array(coordinationMessage) });

export const coordinationPosted = z.object({ message: coordinationMessage, session_status: coordinationState });

const answer = { session_status: coordinationState, usage: completionUsage };
const turnFields = { message: coordinationMessage, ...answer };
const roundFields = { messages: z.array(coordinationMessage), ...answer };
const pollFields = { ...tallyFields, ...answer };
const ballotFields = {
  vote_id: z.string(),
  agent_id: z.string(),
  choice: z.string(),
  tally: coordinationTally,
  ...answer,
};

export const coordinationTurn = z.object(turnFields);
export const coordinationRound = z.object(roundFields);
export const coordinationPoll = z.object(pollFields).describe('The agents were asked.');
export const coordinationVote = z.object(ballotFields).describe("The caller cast one agent's ballot.");
export const coordinationVoteAnswer = z.union([coordinationPoll, coordinationVote]);

const byAgent = { agent_id: z.string(), agent_name: z.string() };

export const turnStartEvent = z.object({ type: z.literal('turn_start'), ...byAgent, turn: z.int().min(1) });

export const turnTokenEvent = z.object({
  type: z.literal('token'),
  ...byAgent,
  text: z.string(),
  accumulated: z.string().optional().describe('All text of the turn so far; of turns alone.'),
});

export const ballotEvent = z.object({ type: z.literal('ballot'), ...byAgent, ...coordinationBallot.shape });

export const turnCompleteEvent = z.object({
  type: z.literal('turn_complete'),
  ...byAgent,
  content: z.string(),
  turn: z.int().min(0),
  message: coordinationMessage,
});

export const turnEndEvent = z.object({ type: z.literal('turn_end'), ...turnFields });
export const roundCompleteEvent = z.object({
  type: z.literal('round_complete'),
  ...roundFields,
  status: z.literal('complete'),
});
export const whisperCompleteEvent = z.object({ type: z.literal('whisper_complete'), ...turnFields });
export const voteCompleteEvent = z.union([
  z.object({ type: z.literal('vote_complete'), ...pollFields }),
  z.object({ type: z.literal('vote_complete'), ...ballotFields }),
]);

export const messageEvent = z.object({ type: z.literal('message'), ...messageFields });
export const endEvent = z.object({ type: z.literal('end') });
