/** Deterministic automata over code points: what strings, numbers and regular expressions become before they are rules. */
import { EngineError } from '../../runtime/errors.ts';
import { ALL, type CodePoints, complement, intersect, type Range, union } from './code-points.ts';

/** More states than this make too large a grammar. */
export const MAX_STATES = 5_000;

/** The code points that lead on to a state. */
export interface Edge {
  readonly on: CodePoints;
  readonly to: number;
}

export interface State {
  readonly accepts: boolean;
  /** Disjoint. */
  readonly edges: readonly Edge[];
}

/** State 0 is the first; every state can still reach an accepting one. No states: no text at all. */
export type Automaton = readonly State[];

/** The automaton that a step function spans from its first state. */
const explore = <T>(
  first: T,
  keyOf: (state: T) => string,
  accepts: (state: T) => boolean,
  step: (state: T) => readonly { on: CodePoints; to: T }[],
): Automaton => {
  const index = new Map([[keyOf(first), 0]]);
  const queue = [first];
  const states: State[] = [];
  for (const state of queue) {
    const edges = step(state).map(({ on, to }) => {
      const key = keyOf(to);
      const known = index.get(key) ?? queue.push(to) - 1;
      index.set(key, known);
      return { on, to: known };
    });
    if (queue.length > MAX_STATES) {
      throw new EngineError(
        'invalid_request',
        `it needs more than ${MAX_STATES} states; use smaller repetition counts or lengths, or a simpler pattern`,
      );
    }
    states.push({ accepts: accepts(state), edges });
  }
  return prune(states);
};

/** Joins edges to one state, and drops states that lead nowhere. */
const prune = (states: readonly State[]): Automaton => {
  const comesFrom = states.map((): number[] => []);
  for (const [i, { edges }] of states.entries()) for (const { to } of edges) comesFrom[to]?.push(i);
  const live = new Set<number>();
  const pending = states.flatMap(({ accepts }, i) => (accepts ? [i] : []));
  for (let i = pending.pop(); i !== undefined; i = pending.pop()) {
    if (live.has(i)) continue;
    live.add(i);
    pending.push(...(comesFrom[i] ?? []));
  }
  if (!live.has(0)) return [];
  const renamed = new Map([...live].sort((a, b) => a - b).map((old, i) => [old, i]));
  return [...renamed.keys()].map((old) => {
    const { accepts, edges } = states[old] as State;
    const targets = new Map<number, Range[]>();
    for (const { on, to } of edges) {
      const target = renamed.get(to);
      if (target !== undefined) targets.set(target, [...(targets.get(target) ?? []), ...on]);
    }
    return { accepts, edges: [...targets].map(([to, ranges]) => ({ on: union(ranges), to })) };
  });
};

/** Joins states that no continuation tells apart (Moore's partition refinement). */
export const minimize = (automaton: Automaton): Automaton => {
  let group: number[] = automaton.map(({ accepts }) => (accepts ? 1 : 0));
  for (let size = new Set(group).size; ; ) {
    const names = new Map<string, number>();
    group = automaton.map(({ edges }, i) => {
      const targets = new Map<number, Range[]>();
      for (const { on, to } of edges) {
        const target = group[to] as number;
        targets.set(target, [...(targets.get(target) ?? []), ...on]);
      }
      const parts = [...targets].sort(([a], [b]) => a - b).map(([to, ranges]) => `${to}:${union(ranges).join(';')}`);
      const key = `${group[i]}|${parts.join('|')}`;
      if (!names.has(key)) names.set(key, names.size);
      return names.get(key) as number;
    });
    if (names.size === size) break;
    size = names.size;
  }
  const firstOf = new Map<number, number>();
  for (const [i, name] of group.entries()) if (!firstOf.has(name)) firstOf.set(name, i);
  // The first state is the first of its group, so group numbers in order of appearance keep it first.
  return prune(
    [...firstOf.values()].map((i) => ({
      accepts: (automaton[i] as State).accepts,
      edges: (automaton[i] as State).edges.map(({ on, to }) => ({ on, to: group[to] as number })),
    })),
  );
};

/** A state of a product: a place in each automaton; -1 is lost for good. */
type Pair = readonly [number, number];

const edgesOf = (automaton: Automaton, state: number): readonly Edge[] => automaton[state]?.edges ?? [];

const restOf = (edges: readonly Edge[]): CodePoints => complement(union(edges.flatMap(({ on }) => on)));

/** Texts of both. */
export const both = (a: Automaton, b: Automaton): Automaton =>
  a.length === 0 || b.length === 0
    ? []
    : explore<Pair>(
        [0, 0],
        String,
        ([i, j]) => (a[i] as State).accepts && (b[j] as State).accepts,
        ([i, j]) =>
          edgesOf(a, i).flatMap((left) =>
            edgesOf(b, j).flatMap((right) => {
              const on = intersect(left.on, right.on);
              return on.length === 0 ? [] : [{ on, to: [left.to, right.to] as const }];
            }),
          ),
      );

/** Texts of the first that are not of the second. */
export const without = (a: Automaton, b: Automaton): Automaton =>
  a.length === 0
    ? []
    : explore<Pair>(
        [0, b.length === 0 ? -1 : 0],
        String,
        ([i, j]) => (a[i] as State).accepts && b[j]?.accepts !== true,
        ([i, j]) => {
          const right = edgesOf(b, j);
          const all = [...right, { on: restOf(right), to: -1 }];
          return edgesOf(a, i).flatMap((left) =>
            all.flatMap(({ on, to }) => {
              const shared = intersect(left.on, on);
              return shared.length === 0 ? [] : [{ on: shared, to: [left.to, to] as const }];
            }),
          );
        },
      );

export const matches = (automaton: Automaton, text: string): boolean => {
  let state = automaton.length === 0 ? -1 : 0;
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const edge = edgesOf(automaton, state).find(({ on }) => on.some(([low, high]) => low <= code && code <= high));
    if (!edge) return false;
    state = edge.to;
  }
  return automaton[state]?.accepts === true;
};

/** Any text. */
export const ANY_TEXT: Automaton = [{ accepts: true, edges: [{ on: ALL, to: 0 }] }];

/** Texts with so many code points. */
export const lengthBetween = (minimum: number, maximum = Number.POSITIVE_INFINITY): Automaton =>
  minimum > maximum
    ? []
    : explore<number>(
        0,
        String,
        (length) => length >= minimum,
        (length) => {
          if (length >= maximum) return [];
          const isFree = maximum === Number.POSITIVE_INFINITY && length >= minimum;
          return [{ on: ALL, to: isFree ? length : length + 1 }];
        },
      );

/** Exactly these texts. */
export const oneOf = (texts: readonly string[]): Automaton => {
  if (texts.length === 0) return [];
  const words = new Set(texts);
  const children = new Map<string, Map<string, string>>([['', new Map()]]);
  for (const text of words) {
    let prefix = '';
    for (const character of text) {
      const next = prefix + character;
      children.get(prefix)?.set(character, next);
      if (!children.has(next)) children.set(next, new Map());
      prefix = next;
    }
  }
  return explore(
    '',
    (prefix) => prefix,
    (prefix) => words.has(prefix),
    (prefix) =>
      [...(children.get(prefix) ?? [])].map(([character, to]) => {
        const code = character.codePointAt(0) as number;
        return { on: [[code, code]] as const, to };
      }),
  );
};

/** A non-deterministic automaton's state: edges, steps that consume nothing, and assertions of the text's ends. */
export interface Place {
  readonly edges: { on: CodePoints; to: number }[];
  readonly free: number[];
  /** Passed only before the first character. */
  readonly atStart: number[];
  /** Passed only after the last one. */
  readonly atEnd: number[];
}

/** Makes a deterministic automaton of places, by subset construction. */
export const determinize = (places: readonly Place[], first: number, last: number): Automaton => {
  const closure = (from: Iterable<number>, isStart: boolean, isEnd: boolean): number[] => {
    const found = new Set(from);
    for (const id of found) {
      const { free, atStart, atEnd } = places[id] as Place;
      for (const next of free) found.add(next);
      if (isStart) for (const next of atStart) found.add(next);
      if (isEnd) for (const next of atEnd) found.add(next);
    }
    return [...found].sort((a, b) => a - b);
  };
  interface Subset {
    readonly isStart: boolean;
    readonly ids: readonly number[];
  }
  return explore<Subset>(
    { isStart: true, ids: closure([first], true, false) },
    ({ isStart, ids }) => `${isStart}${ids}`,
    ({ isStart, ids }) => closure(ids, isStart, true).includes(last),
    ({ ids }) =>
      disjoint(ids.flatMap((id) => (places[id] as Place).edges)).map(({ on, to }) => ({
        on,
        to: { isStart: false, ids: closure(to, false, false) },
      })),
  );
};

/** Overlapping edges as disjoint ones to sets of places. */
const disjoint = (edges: readonly { on: CodePoints; to: number }[]): { on: CodePoints; to: readonly number[] }[] => {
  let parts: { on: CodePoints; to: readonly number[] }[] = [];
  for (const edge of edges) {
    let left = edge.on;
    const next: typeof parts = [];
    for (const part of parts) {
      const shared = intersect(part.on, left);
      if (shared.length === 0) {
        next.push(part);
        continue;
      }
      next.push({ on: shared, to: [...part.to, edge.to] });
      const only = intersect(part.on, complement(shared));
      if (only.length > 0) next.push({ on: only, to: part.to });
      left = intersect(left, complement(shared));
    }
    if (left.length > 0) next.push({ on: left, to: [edge.to] });
    parts = next;
  }
  return parts;
};
