/** What a request sets going: one turn, a round, a whisper, a vote. What is not finished is not recorded. */
import type { Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { invalidParam } from '../dialects/body-schema.ts';
import type { TurnSampling } from './bodies.ts';
import { samplingOf } from './create-session.ts';
import type { Agent, Message } from './session.ts';
import { type SpeakContext, type SpeakOptions, type Spoken, speak } from './speak.ts';
import { audienceOf, holdsBack, listenerOf, speakerOf } from './topology.ts';
import { type Ballot, ballotText, type Poll, readBallot } from './vote.ts';

const BALLOT_TOKENS = 64;
const GREEDY: TurnSampling = { temperature: 0 };

export interface TurnContext extends SpeakContext {
  /** Takes places for so many generations at once; the returned function gives them back. @throws EngineError overloaded */
  admit(count: number): () => void;
  emit(event: TurnEvent): void;
  /** Adds to the request's usage. */
  count(usage: Usage): void;
}

export type TurnEvent =
  | { readonly type: 'turn_start'; readonly agent: Agent; readonly turn: number }
  | { readonly type: 'token'; readonly agent: Agent; readonly text: string }
  | { readonly type: 'turn_complete'; readonly agent: Agent; readonly message: Message }
  | { readonly type: 'ballot'; readonly agent: Agent; readonly ballot: Ballot };

export interface TurnRequest extends TurnSampling {
  readonly agent_id?: string | null | undefined;
  readonly to_agent_id?: string | null | undefined;
}

/** @throws EngineError conflict when it is another's turn, or something else runs; whatever generation throws */
export const takeTurn = (context: TurnContext, request: TurnRequest): Promise<Message> => {
  const { session } = context;
  const named = request.agent_id ?? undefined;
  const to = request.to_agent_id ?? undefined;
  if (named !== undefined) session.agent(named, 'agent_id');
  if (to !== undefined) session.agent(to, 'to_agent_id');
  const { topology } = session.settings;
  if (to !== undefined && topology !== 'whisper') {
    throw invalidParam('to_agent_id', `turns of topology ${topology} are heard by all: leave it out, or use …/whisper`);
  }
  const speaker = speakerOf(topology, session.order, named);
  if (to === speaker) throw invalidParam('to_agent_id', 'must be another agent than the speaker');
  return session.exclusively((interrupt) => turn(context, request, interrupt, named, to), {
    speaker,
    interrupter: named,
  });
};

/** Each agent speaks once. A round that broadcasts is generated at once, and recorded whole or not at all. */
export const takeRound = (context: TurnContext, request: TurnSampling): Promise<readonly Message[]> => {
  const { session } = context;
  return session.exclusively(async () => {
    session.checkActive();
    return holdsBack(session.settings.topology) ? await broadcast(context, request) : await inOrder(context, request);
  });
};

/** Out of turn: `from` says something to `to` that nobody else hears. */
export const whisper = (context: TurnContext, request: TurnSampling, from: Agent, to: Agent): Promise<Message> => {
  const { session } = context;
  return session.exclusively(async () => {
    session.checkActive();
    const question = `Whisper to ${to.displayName}: nobody else will hear what you say now.`;
    const message = await withPlaces(context, 1, async () => {
      const spoken = await speakAloud(context, from, { ...optionsOf(context, request), question });
      return session.whisper({ ...spoken, agent: from, to: to.agentId });
    });
    context.emit({ type: 'turn_complete', agent: from, message });
    return message;
  });
};

/** Asks each agent for its ballot, all at once. Its answer stays in its own view alone. */
export const holdVote = (
  context: TurnContext,
  question: string,
  options: readonly string[],
  voters: readonly Agent[],
): Promise<Poll> => {
  const { session } = context;
  return session.exclusively(() => {
    session.checkRoom();
    return withPlaces(context, voters.length, async (signal) => {
      const asked = {
        ...optionsOf(context, GREEDY),
        maxTokens: BALLOT_TOKENS,
        question: ballotText(question, options, session.settings.decisionMode),
      };
      const ballots = await allOrNone(voters, signal, async (agent, each) => {
        const spoken = await speak({ ...context, signal: each }, agent, asked);
        const ballot = readBallot(agent.agentId, spoken.said.text, options, session.settings.decisionMode);
        context.emit({ type: 'ballot', agent, ballot });
        return { agent, spoken, ballot };
      });
      const poll = session.countBallots(
        question,
        options,
        ballots.map(({ ballot }) => ballot),
      );
      for (const { agent, spoken } of ballots) {
        session.recordAside(agent, spoken.said);
        countUsage(context, spoken);
      }
      return poll;
    });
  });
};

const turn = async (
  context: TurnContext,
  request: TurnSampling,
  interrupt: AbortSignal | undefined,
  named?: string,
  to?: string,
): Promise<Message> => {
  const { session } = context;
  session.checkActive();
  const { topology } = session.settings;
  const agent = session.agent(speakerOf(topology, session.order, named), 'agent_id');
  const listener = topology === 'whisper' ? (to ?? listenerOf(session.order, agent.agentId)) : undefined;
  const message = await withPlaces(context, 1, async () => {
    const options = { ...optionsOf(context, request), ...(interrupt ? { interrupt } : {}) };
    const spoken = await speakAloud(context, agent, options);
    if (spoken.isInterrupted && spoken.said.text === '') {
      throw new EngineError(
        'conflict',
        `${agent.agentId} was interrupted before it said a word: its turn does not count`,
      );
    }
    return session.take(
      { ...spoken, agent, to: listener },
      audienceOf(topology, session.order, agent.agentId, listener),
    );
  });
  context.emit({ type: 'turn_complete', agent, message });
  return message;
};

const inOrder = async (context: TurnContext, request: TurnSampling): Promise<readonly Message[]> => {
  const { session } = context;
  const messages: Message[] = [];
  while (messages.length < session.agents.size && session.isActive) {
    messages.push(await turn(context, request, undefined));
  }
  return messages;
};

const broadcast = (context: TurnContext, request: TurnSampling): Promise<readonly Message[]> => {
  const { session } = context;
  const { agentIds, position } = session.order;
  const speakers = agentIds.slice(position).map((agentId) => session.agent(agentId, 'agents'));
  return withPlaces(context, speakers.length, async (signal) => {
    const first = session.numTurns;
    const all = await allOrNone(speakers, signal, async (agent, each, index) => {
      const options = optionsOf(context, request);
      return { agent, spoken: await speakAloud({ ...context, signal: each }, agent, options, first + index) };
    });
    return all.map(({ agent, spoken }) => {
      const audience = audienceOf('broadcast', session.order, agent.agentId);
      const message = session.take({ ...spoken, agent, to: undefined }, audience);
      context.emit({ type: 'turn_complete', agent, message });
      return message;
    });
  });
};

const speakAloud = async (
  context: TurnContext,
  agent: Agent,
  options: SpeakOptions,
  turnNumber = context.session.numTurns,
): Promise<Spoken> => {
  const spoken = await speak(context, agent, {
    ...options,
    onStart: () => context.emit({ type: 'turn_start', agent, turn: turnNumber + 1 }),
    onText: (text) => context.emit({ type: 'token', agent, text }),
  });
  countUsage(context, spoken);
  return spoken;
};

const countUsage = (context: TurnContext, { usage }: Spoken): void => {
  if (usage !== undefined) context.count(usage);
};

const optionsOf = ({ session: { settings } }: TurnContext, request: TurnSampling) => ({
  maxTokens: request.max_tokens ?? settings.maxTokens,
  sampling: samplingOf(request, settings.sampling),
});

const withPlaces = async <T>(
  context: TurnContext,
  count: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const giveBack = context.admit(count);
  try {
    return await work(context.signal);
  } finally {
    giveBack();
  }
};

/** Runs `work` for all agents at once. When one fails the others stop, and only then does this throw what that one threw. */
const allOrNone = async <T>(
  agents: readonly Agent[],
  signal: AbortSignal,
  work: (agent: Agent, signal: AbortSignal, index: number) => Promise<T>,
): Promise<readonly T[]> => {
  const failing = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  const results = await Promise.all(
    agents.map(async (agent, index) => {
      try {
        return [await work(agent, AbortSignal.any([signal, failing.signal]), index)];
      } catch (error) {
        failure ??= { error };
        failing.abort(error);
        return [];
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
  return results.flat();
};
