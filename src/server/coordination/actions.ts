/** What can be done in a session: bodies in, answers out. */
import { invalidParam, parseBody } from '../dialects/body-schema.ts';
import { messageBody as messageAnswer, tallyBody } from './answer-bodies.ts';
import type { StreamEvent } from './answer-stream.ts';
import * as bodies from './bodies.ts';
import type { CoordinationSession } from './session.ts';
import { holdVote, type TurnContext, takeRound, takeTurn, whisper } from './turns.ts';
import { foldChoice } from './vote.ts';

export type Action = 'turn' | 'round' | 'whisper' | 'vote';

/** One request on one session. */
interface Call {
  readonly session: CoordinationSession;
  readonly requestId: string;
  readonly turns: TurnContext;
}

/** An action's answer: the fields beside `session_status` and `usage`, and the event that ends it when streamed. */
interface Outcome {
  readonly body: object;
  readonly end: StreamEvent;
}

/** @throws EngineError invalid_request, not_supported, conflict, overloaded; whatever generation throws */
export const act = (action: Action, body: unknown, call: Call): Promise<Outcome> => {
  switch (action) {
    case 'turn':
      return turn(body, call);
    case 'round':
      return round(body, call);
    case 'whisper':
      return whisperOnce(body, call);
    case 'vote':
      return vote(body, call);
  }
};

const turn = async (body: unknown, { session, turns }: Call): Promise<Outcome> => {
  const message = await takeTurn(turns, parseBody(bodies.turnBody, body));
  // A streamed turn has ended with its `turn_complete`; this one carries the totals.
  return { body: { message: messageAnswer(session, message) }, end: { type: 'turn_end' } };
};

const round = async (body: unknown, { session, turns }: Call): Promise<Outcome> => {
  const messages = await takeRound(turns, parseBody(bodies.roundBody, body));
  const answer = { messages: messages.map((message) => messageAnswer(session, message)) };
  return { body: answer, end: { type: 'round_complete', status: 'complete' } };
};

const whisperOnce = async (body: unknown, { session, turns }: Call): Promise<Outcome> => {
  const request = parseBody(bodies.whisperBody, body);
  const from = session.agent(request.from_agent_id, 'from_agent_id');
  const to = session.agent(request.to_agent_id, 'to_agent_id');
  if (from === to) throw invalidParam('to_agent_id', 'must be another agent than from_agent_id');
  const { content } = request;
  const message = content
    ? await session.exclusively(() => session.postWhisper(from, to, content))
    : await whisper(turns, request, from, to);
  return { body: { message: messageAnswer(session, message) }, end: { type: 'whisper_complete' } };
};

const vote = async (body: unknown, call: Call): Promise<Outcome> => {
  const request = parseBody(bodies.voteBody, body);
  const ranking = request.ranking ?? [];
  if (ranking.length > 0 && call.session.settings.decisionMode !== 'ranked_choice') {
    throw invalidParam('ranking', "needs a session whose decision_mode is 'ranked_choice'");
  }
  if (request.choice) return castBallot(call, request, [request.choice]);
  return ranking.length > 0 ? castBallot(call, request, ranking) : poll(call, request);
};

type VoteBody = ReturnType<typeof parseBody<typeof bodies.voteBody>>;

const poll = async ({ session, turns }: Call, request: VoteBody): Promise<Outcome> => {
  const { question, options } = request;
  if (!options) throw invalidParam('options', 'name the options to ask the agents, or an agent_id with its choice');
  const folded = options.map(foldChoice);
  const index = folded.findIndex(
    (option, at) => option === '' || option === 'abstain' || folded.indexOf(option) !== at,
  );
  if (index >= 0) throw invalidParam(`options.${index}`, 'must differ from the others and from the word abstain');
  const voters = request.agent_ids
    ? [...new Set(request.agent_ids)].map((agentId) => session.agent(agentId, 'agent_ids'))
    : [...session.agents.values()];
  const held = await holdVote(turns, question, options, voters);
  return { body: tallyBody(session, held), end: { type: 'vote_complete' } };
};

const castBallot = async (
  { session, requestId }: Call,
  { question, agent_id: agentId, choice: single }: VoteBody,
  named: readonly string[],
): Promise<Outcome> => {
  const param = single ? 'choice' : 'ranking';
  if (!agentId) throw invalidParam('agent_id', `Field required beside ${param}`, 'missing_required_parameter');
  session.agent(agentId, 'agent_id');
  const options = session.pollOn(question)?.options;
  const ranking = named.map((choice) => {
    const known = options?.find((option) => foldChoice(option) === foldChoice(choice));
    if (options === undefined || known !== undefined) return known ?? choice.trim();
    throw invalidParam(param, `must be one of ${options.join(', ')}, the options of this question`);
  });
  if (new Set(ranking.map(foldChoice)).size < ranking.length) throw invalidParam(param, 'names an option twice');
  const ballot = { agentId, choice: ranking[0]!, ...(ranking.length > 1 ? { ranking } : {}) };
  const counted = await session.exclusively(() => session.countBallots(question, undefined, [ballot]));
  const body = {
    vote_id: requestId,
    agent_id: agentId,
    choice: ballot.choice,
    tally: tallyBody(session, counted),
  };
  return { body, end: { type: 'vote_complete' } };
};
