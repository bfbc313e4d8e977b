/** One coordination session: its agents, what has been said, whose turn it is, and the lock that keeps turns apart. */
import { randomUUID } from 'node:crypto';
import type { SamplingParameters, Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { AgentView, type Said } from './agent-view.ts';
import { MAX_TURNS } from './bodies.ts';
import type { DebateFormat } from './debate-formats.ts';
import { holdsBack, positionAfter, type Topology, type TurnOrder } from './topology.ts';
import type { Ballot, DecisionMode, Poll } from './vote.ts';

const MAX_MESSAGES = 4096;
/** UTF-16 units of all system prompts, messages and questions: about a third as many tokens, more than models read. */
export const MAX_CHARACTERS = 1024 * 1024;
const MAX_FOLLOWERS = 32;
const MAX_POLLS = 64;

export interface AgentRole {
  readonly agentId: string;
  readonly displayName: string;
  readonly role: string;
  readonly systemPrompt: string;
  readonly lifecycle: 'ephemeral' | 'permanent';
  /** The name of the session that keeps its KV. */
  readonly cacheSession: string;
  /** Its KV outlives this session. */
  readonly isKept: boolean;
}

export interface Agent extends AgentRole {
  readonly view: AgentView;
}

/** Something said, by an agent or from outside. */
export interface Message {
  readonly id: string;
  readonly senderId: string;
  readonly senderName: string;
  readonly text: string;
  /** Turns taken before it. */
  readonly turnNumber: number;
  /** Absent: all hear it. */
  readonly toAgentId?: string;
  readonly isInterrupted: boolean;
  /** Of the turn that made it; absent when nothing was generated, or it was cut short before the count was known. */
  readonly usage?: Usage;
}

export interface SessionSettings {
  readonly owner: string;
  readonly topology: Topology;
  readonly debateFormat: DebateFormat;
  readonly decisionMode: DecisionMode;
  /** With the whole system text of each. */
  readonly agents: readonly (AgentRole & { readonly system: string })[];
  /** 0: as many as a session may have. */
  readonly maxTurns: number;
  readonly maxTokens: number;
  readonly sampling: SamplingParameters;
  readonly ttlSeconds: number;
}

interface Run {
  /** The agent that may be cut short; absent: nobody may interrupt this. */
  readonly speaker: string | undefined;
  readonly interrupt: AbortController;
  readonly done: Promise<void>;
}

/** A turn that has been taken. */
export interface Turn {
  readonly agent: Agent;
  readonly said: Said;
  readonly to: string | undefined;
  readonly isInterrupted: boolean;
  readonly usage: Usage | undefined;
}

export class CoordinationSession {
  readonly id: string;
  readonly settings: SessionSettings;
  readonly agents: ReadonlyMap<string, Agent>;
  /** Unix seconds. */
  readonly createdAt = Math.floor(Date.now() / 1000);
  /** `performance.now()` of the last request. */
  lastUsedMs = performance.now();
  readonly #deleted = new AbortController();
  readonly #messages: Message[] = [];
  readonly #polls = new Map<string, Poll>();
  readonly #followers = new Set<(message: Message) => void>();
  #heldBack: (() => void)[] = [];
  #numCharacters = 0;
  #position = 0;
  #numTurns = 0;
  #run: Run | undefined;

  constructor(id: string, settings: SessionSettings) {
    this.id = id;
    this.settings = settings;
    this.#numCharacters = settings.agents.reduce((total, { system }) => total + system.length, 0);
    this.agents = new Map(
      settings.agents.map(({ system, ...role }) => [role.agentId, { ...role, view: new AgentView(system) }]),
    );
  }

  get order(): TurnOrder {
    return { agentIds: [...this.agents.keys()], position: this.#position };
  }

  get numTurns(): number {
    return this.#numTurns;
  }

  get isActive(): boolean {
    return this.#numTurns < (this.settings.maxTurns || MAX_TURNS) && !this.#isFull;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get polls(): Iterable<Poll> {
    return this.#polls.values();
  }

  /** Somebody works with it, or reads along. */
  get isInUse(): boolean {
    return this.#run !== undefined || this.#followers.size > 0;
  }

  /** Aborts when the session is deleted. */
  get deleted(): AbortSignal {
    return this.#deleted.signal;
  }

  delete(): void {
    this.#deleted.abort(new EngineError('aborted', `the coordination session ${this.id} was deleted`));
  }

  /** Resolves when nothing runs in it. */
  async idle(): Promise<void> {
    await this.#run?.done;
  }

  /** @throws EngineError invalid_request for an id that no agent here has */
  agent(agentId: string, param: string): Agent {
    const agent = this.agents.get(agentId);
    if (agent !== undefined) return agent;
    const known = [...this.agents.keys()].join(', ');
    throw new EngineError('invalid_request', `${param}: '${agentId}' is no agent of this session; it has ${known}`, {
      param,
    });
  }

  /**
   * Calls `listener` with each message from now on, until the returned function is called.
   * @throws EngineError overloaded
   */
  follow(listener: (message: Message) => void): () => void {
    if (this.#followers.size >= MAX_FOLLOWERS) {
      throw new EngineError('overloaded', `${MAX_FOLLOWERS} clients follow session ${this.id}, the most it may have`);
    }
    this.#followers.add(listener);
    return () => this.#followers.delete(listener);
  }

  /**
   * Runs `work` while nothing else changes the session. `speaker`: whom an `interrupter` may cut short by aborting the
   * signal that `work` gets.
   * @throws EngineError conflict while something else runs that may not be interrupted
   */
  async exclusively<T>(
    work: (interrupt: AbortSignal) => T | Promise<T>,
    { speaker, interrupter }: { readonly speaker?: string | undefined; readonly interrupter?: string | undefined } = {},
  ): Promise<T> {
    const running = this.#run;
    const isCut = this.settings.topology === 'interrupt' && interrupter !== undefined && running?.speaker !== undefined;
    if (running !== undefined && isCut && running.speaker !== interrupter) {
      running.interrupt.abort();
      await running.done;
    }
    if (this.#run !== undefined) {
      throw new EngineError(
        'conflict',
        `session ${this.id}: another request is at work in this coordination session; send this one when it has ended`,
      );
    }
    const interrupt = new AbortController();
    const { promise: done, resolve } = withResolvers();
    this.#run = { speaker, interrupt, done };
    try {
      return await work(interrupt.signal);
    } finally {
      this.#run = undefined;
      this.lastUsedMs = performance.now();
      resolve();
    }
  }

  /** @throws EngineError conflict when no more turns can be taken */
  checkActive(): void {
    this.checkRoom();
    if (this.isActive) return;
    throw new EngineError(
      'conflict',
      `session ${this.id} is completed after ${this.#numTurns} turns (max_turns): create another one`,
    );
  }

  /** A word from outside, heard by all. */
  post(senderId: string, senderName: string, text: string): Message {
    this.checkRoom();
    const posted = this.#publish({ senderId, senderName, text, isInterrupted: false });
    this.#deliver(posted, [...this.agents.keys()]);
    return posted;
  }

  /** A whisper whose words the caller has chosen: what the sender did not say itself, it is told of. */
  postWhisper(from: Agent, to: Agent, text: string): Message {
    this.checkRoom();
    const sender = { senderId: from.agentId, senderName: from.displayName, toAgentId: to.agentId };
    const posted = this.#publish({ ...sender, text, isInterrupted: false });
    this.#deliver(posted, [to.agentId]);
    from.view.hear(`You whispered to ${to.displayName}: ${text}`);
    return posted;
  }

  /** Records what an agent said in its turn, and moves on to the next speaker. */
  take({ agent, said, to, isInterrupted, usage }: Turn, audience: readonly string[]): Message {
    const { topology } = this.settings;
    const message = this.#say(agent, { said, to, isInterrupted, usage });
    const deliver = (): void => this.#deliver(message, audience);
    this.#numTurns++;
    this.#position = positionAfter(topology, this.order, agent.agentId, to);
    if (!holdsBack(topology)) deliver();
    else this.#heldBack.push(deliver);
    if (this.#position === 0) for (const held of this.#heldBack.splice(0)) held();
    return message;
  }

  /** Records what an agent whispered out of turn. */
  whisper({ agent, said, to, isInterrupted, usage }: Turn & { readonly to: string }): Message {
    const message = this.#say(agent, { said, to, isInterrupted, usage });
    this.#deliver(message, [to]);
    return message;
  }

  /** Adds ballots to the poll on `question`; options that differ from the last time begin it anew. */
  countBallots(question: string, options: readonly string[] | undefined, ballots: readonly Ballot[]): Poll {
    const earlier = this.#polls.get(question);
    const isSame = options === undefined || JSON.stringify(options) === JSON.stringify(earlier?.options);
    if (earlier === undefined && this.#polls.size >= MAX_POLLS) {
      throw new EngineError(
        'conflict',
        `session ${this.id} has ${MAX_POLLS} polls, the most it may: create another one`,
      );
    }
    const kept = isSame ? (earlier?.ballots ?? []) : [];
    const counted = new Map([...kept, ...ballots.map((ballot) => [ballot.agentId, ballot] as const)]);
    const poll = { question, options: options ?? earlier?.options, ballots: counted };
    this.#polls.set(question, poll);
    return poll;
  }

  pollOn(question: string): Poll | undefined {
    return this.#polls.get(question);
  }

  /** What an agent answered that concerns nobody else: it stays in its own view. */
  recordAside(agent: Agent, said: Said): void {
    agent.view.record(said);
    this.#numCharacters += said.text.length + (said.cue?.length ?? 0);
  }

  #say(agent: Agent, { said, to, isInterrupted, usage }: Omit<Turn, 'agent'>): Message {
    agent.view.record(said);
    this.#numCharacters += said.cue?.length ?? 0;
    return this.#publish({
      senderId: agent.agentId,
      senderName: agent.displayName,
      text: said.text,
      isInterrupted,
      ...(to === undefined ? {} : { toAgentId: to }),
      ...(usage === undefined ? {} : { usage }),
    });
  }

  #deliver(message: Message, audience: readonly string[]): void {
    const text = heardText(message);
    for (const agentId of audience) this.agents.get(agentId)?.view.hear(text);
  }

  #publish(message: Omit<Message, 'id' | 'turnNumber'>): Message {
    const published = { ...message, id: randomUUID().replaceAll('-', '').slice(0, 12), turnNumber: this.#numTurns };
    this.#messages.push(published);
    this.#numCharacters += published.text.length;
    for (const follower of this.#followers) follower(published);
    return published;
  }

  get #isFull(): boolean {
    return this.#messages.length >= MAX_MESSAGES || this.#numCharacters >= MAX_CHARACTERS;
  }

  /** @throws EngineError conflict when nothing more can be said */
  checkRoom(): void {
    if (!this.#isFull) return;
    throw new EngineError(
      'conflict',
      `session ${this.id} is full: ${this.#messages.length} messages of at most ${MAX_MESSAGES}, ` +
        `${this.#numCharacters} characters of at most ${MAX_CHARACTERS}; create another one`,
    );
  }
}

export const SYSTEM_SENDER = 'system';

/** As the agents read it: who speaks stands before what is said. */
const heardText = ({ senderId, senderName, text, toAgentId, isInterrupted }: Message): string => {
  if (senderId === SYSTEM_SENDER) return text;
  const manner = toAgentId === undefined ? '' : ' (whispers to you)';
  return `${senderName}${manner}: ${text}${isInterrupted ? ' —' : ''}`;
};

/** `Promise.withResolvers`, which Node 20 lacks. */
const withResolvers = (): { readonly promise: Promise<void>; readonly resolve: () => void } => {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
};
