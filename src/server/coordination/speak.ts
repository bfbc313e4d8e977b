/** Lets one agent speak: its own view is the prompt, its own session keeps the KV. */
import type { Engine, GenerationRequest, SamplingParameters, Usage } from '../../runtime/api.ts';
import type { Metrics } from '../metrics.ts';
import type { Said } from './agent-view.ts';
import type { Agent, CoordinationSession } from './session.ts';

export interface SpeakContext {
  readonly engine: Engine;
  readonly metrics: Metrics;
  readonly session: CoordinationSession;
  /** Of the HTTP request; each generation's id begins with it. */
  readonly requestId: string;
  /** Aborts when the client leaves or the session is deleted. */
  readonly signal: AbortSignal;
}

export interface SpeakOptions {
  /** What the agent is asked, for its eyes only. */
  readonly question?: string | undefined;
  readonly maxTokens: number;
  readonly sampling: SamplingParameters;
  /** Cuts the agent short: what it has said by then stands. */
  readonly interrupt?: AbortSignal;
  /** Called when the engine has taken the request. */
  readonly onStart?: () => void;
  readonly onText?: (text: string) => void;
}

export interface Spoken {
  readonly said: Said;
  /** Absent when the agent was cut short. */
  readonly usage: Usage | undefined;
  readonly isInterrupted: boolean;
}

/** @throws EngineError as `Engine.generate`; nothing is recorded, here or then */
export const speak = async (context: SpeakContext, agent: Agent, options: SpeakOptions): Promise<Spoken> => {
  const { engine, metrics, signal: leaving } = context;
  const { interrupt, onText } = options;
  const cue = agent.view.cueFor(options.question);
  const timer = metrics.timeGeneration(performance.now());
  const signal = interrupt === undefined ? leaving : AbortSignal.any([leaving, interrupt]);
  let text = '';
  let reasoning = '';
  let usage: Usage | undefined;
  try {
    const generation = await engine.generate(requestOf(context, agent, cue, options), signal);
    options.onStart?.();
    for await (const event of generation.events) {
      timer.event(0, event);
      if (event.type === 'text') {
        text += event.text;
        onText?.(event.text);
      } else if (event.type === 'reasoning') reasoning += event.text;
      else if (event.type === 'finish') usage = event.usage;
    }
  } catch (error) {
    if (!interrupt?.aborted || leaving.aborted) throw error;
    return { said: { cue, text, reasoning }, usage: undefined, isInterrupted: true };
  }
  return { said: { cue, text, reasoning }, usage, isInterrupted: false };
};

const requestOf = (
  { session, requestId }: SpeakContext,
  agent: Agent,
  cue: string | undefined,
  { maxTokens, sampling }: SpeakOptions,
): GenerationRequest => {
  const others = [...session.agents.values()].filter(({ agentId }) => agentId !== agent.agentId);
  return {
    id: `${requestId}-${agent.agentId}`,
    prompt: agent.view.prompt(cue),
    maxTokens,
    // A model that goes on with the others' lines has ended its own.
    stop: others.map(({ displayName }) => `\n${displayName}:`),
    sampling,
    cache: { owner: session.settings.owner, session: agent.cacheSession },
  };
};
