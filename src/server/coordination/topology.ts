/** Who speaks next, and who hears it: pure rules over the agents' order. */
import { EngineError } from '../../runtime/errors.ts';

/**
 * turn_by_turn: in order, or whom the caller names. round_robin: strictly in order. broadcast: strictly in order, and a
 * round's messages are heard once all have spoken. whisper: to one agent alone, who speaks next. interrupt: like
 * turn_by_turn, and a named agent may cut the speaker short.
 */
export const TOPOLOGIES = ['turn_by_turn', 'round_robin', 'broadcast', 'whisper', 'interrupt'] as const;

export type Topology = (typeof TOPOLOGIES)[number];

/** The agents in the order they were created in, and the index of the one whose turn it is. */
export interface TurnOrder {
  readonly agentIds: readonly string[];
  readonly position: number;
}

const isStrict = (topology: Topology): boolean => topology === 'round_robin' || topology === 'broadcast';

/** The messages of a round wait until all agents have spoken. */
export const holdsBack = (topology: Topology): boolean => topology === 'broadcast';

/**
 * The agent who speaks now: the one the caller names, where the topology lets it choose, else the next in order.
 * @throws EngineError conflict
 */
export const speakerOf = (topology: Topology, { agentIds, position }: TurnOrder, named?: string): string => {
  const next = agentIds[position]!;
  if (named === undefined || named === next || !isStrict(topology)) return named ?? next;
  throw new EngineError(
    'conflict',
    `agent_id: it is not the turn of '${named}' but of '${next}': ${topology} keeps to the order; leave agent_id out`,
    { param: 'agent_id' },
  );
};

/** Whom a whisper goes to when the caller does not say: the next in order. */
export const listenerOf = ({ agentIds }: TurnOrder, speaker: string): string =>
  agentIds[(agentIds.indexOf(speaker) + 1) % agentIds.length]!;

/** Who hears what `speaker` says. */
export const audienceOf = (topology: Topology, order: TurnOrder, speaker: string, to?: string): readonly string[] =>
  topology === 'whisper' ? [to ?? listenerOf(order, speaker)] : order.agentIds.filter((agentId) => agentId !== speaker);

/** The position after `speaker` has spoken. */
export const positionAfter = (topology: Topology, order: TurnOrder, speaker: string, to?: string): number =>
  topology === 'whisper'
    ? order.agentIds.indexOf(to ?? listenerOf(order, speaker))
    : (order.agentIds.indexOf(speaker) + 1) % order.agentIds.length;
