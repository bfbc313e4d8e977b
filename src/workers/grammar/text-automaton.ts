/** Automata over the bytes of a text: states after each byte, as numbers. */
import type { Automaton } from './automaton.ts';
import { CharacterReader, classOf, DEAD, OVER, type Writing } from './character-reader.ts';
import { ALL, type CodePoints, type Range } from './code-points.ts';

export { DEAD, OVER };

interface Tables {
  readonly reader: CharacterReader;
  readonly numClasses: number;
  /** [place, class]: the next place, or DEAD. */
  readonly steps: Int32Array;
  /** By place: 1 where the text may end. */
  readonly accepts: Uint8Array;
}

let numAutomata = 0;

/** A state is a place of the automaton, between characters, and how much of the next one is read. */
export class TextAutomaton {
  /** Another one for each automaton of the process. */
  readonly number = numAutomata++;
  readonly #tables: Tables;
  readonly #numNodes: number;
  /** [place, node]: whether some character goes on from there; 0: not looked at yet, 1: yes, 2: no. */
  readonly #goesOn: Uint8Array;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#numNodes = tables.reader.numNodes;
    this.#goesOn = new Uint8Array(tables.accepts.length * this.#numNodes);
  }

  /** The state at a place. @param node how much is read of the next character, from `nodeOf` */
  stateAt(place: number, node = 0): number {
    return place * this.#numNodes + node;
  }

  /** 0 between characters. */
  nodeOf(state: number): number {
    return state % this.#numNodes;
  }

  /** The place that a state is at; undefined within a character. */
  placeOf(state: number): number | undefined {
    return this.nodeOf(state) === 0 ? state / this.#numNodes : undefined;
  }

  /** Whether the text may end in a state. */
  accepts(state: number): boolean {
    return this.nodeOf(state) === 0 && this.#tables.accepts[state / this.#numNodes] === 1;
  }

  /** The next state, DEAD where nothing goes on so, OVER behind a closing quote. */
  next(state: number, byte: number): number {
    const { reader, steps, numClasses, accepts } = this.#tables;
    const numNodes = this.#numNodes;
    const place = Math.floor(state / numNodes);
    const entry = reader.table[(state - place * numNodes) * 256 + byte]!;
    if (entry >= 0) return this.#isOpen(place, entry) ? place * numNodes + entry : DEAD;
    if (entry === DEAD) return DEAD;
    if (entry === OVER) return accepts[place] === 1 ? OVER : DEAD;
    const next = steps[place * numClasses + classOf(entry)]!;
    return next === DEAD ? DEAD : next * numNodes;
  }

  #isOpen(place: number, node: number): boolean {
    const at = place * this.#numNodes + node;
    if (this.#goesOn[at] === 0) this.#goesOn[at] = this.#looksOpen(place, node) ? 1 : 2;
    return this.#goesOn[at] === 1;
  }

  #looksOpen(place: number, node: number): boolean {
    const { reader, steps, numClasses } = this.#tables;
    for (const index of reader.classesBehind[node]!) if (steps[place * numClasses + index] !== DEAD) return true;
    return false;
  }
}

/** The sets that an automaton's edges are made of, as disjoint ones, and which of those each set has. */
const classesOf = (automaton: Automaton): { classes: CodePoints[]; indicesOf: Map<CodePoints, number[]> } => {
  const sets = new Map<string, CodePoints>();
  const keys = new Map<CodePoints, string>();
  for (const { edges } of automaton) {
    for (const { on } of edges) {
      const key = on.join(';');
      keys.set(on, key);
      if (!sets.has(key)) sets.set(key, on);
    }
  }
  const begins = [...new Set([...sets.values()].flat().flatMap(([low, high]) => [low, high + 1]))].sort(
    (a, b) => a - b,
  );
  const byMembers = new Map<string, { ranges: Range[]; members: string[] }>();
  for (const [i, low] of begins.entries()) {
    const members = [...sets]
      .filter(([, set]) => set.some(([from, to]) => from <= low && low <= to))
      .map(([key]) => key);
    if (members.length === 0) continue;
    const name = members.join('|');
    if (!byMembers.has(name)) byMembers.set(name, { ranges: [], members });
    byMembers.get(name)?.ranges.push([low, begins[i + 1]! - 1]);
  }
  const classes = [...byMembers.values()];
  const indicesOf = new Map(
    [...keys].map(([on, key]) => [on, classes.flatMap(({ members }, i) => (members.includes(key) ? [i] : []))]),
  );
  return { classes: classes.map(({ ranges }) => ranges), indicesOf };
};

/** The texts of an automaton, as they are written. Its place 0 is the first. */
export const textsOf = (automaton: Automaton, writing: Writing): TextAutomaton => {
  const { classes, indicesOf } = classesOf(automaton);
  const steps = new Int32Array(automaton.length * classes.length).fill(DEAD);
  for (const [place, { edges }] of automaton.entries()) {
    for (const { on, to } of edges) {
      for (const index of indicesOf.get(on) ?? []) steps[place * classes.length + index] = to;
    }
  }
  const accepts = Uint8Array.from(automaton, (state) => (state.accepts ? 1 : 0));
  return new TextAutomaton({
    reader: new CharacterReader(classes, writing),
    numClasses: classes.length,
    steps,
    accepts,
  });
};

/** The content of JSON strings by their length in code points: one automaton for all lengths. */
export class Lengths {
  readonly texts: TextAutomaton;
  readonly #most: number;

  /** @param longest the longest token, in bytes: larger counts make no difference to the next one */
  constructor(longest: number) {
    this.#most = longest + 1;
    const size = this.#most + 1;
    const steps = new Int32Array(size * size).fill(DEAD);
    const accepts = new Uint8Array(size * size);
    for (let room = 0; room < size; room++) {
      for (let needed = 0; needed < size; needed++) {
        const next = room === this.#most ? room : room - 1;
        if (room > 0) steps[room * size + needed] = next * size + Math.max(0, needed - 1);
        if (needed === 0) accepts[room * size + needed] = 1;
      }
    }
    this.texts = new TextAutomaton({ reader: new CharacterReader([ALL], 'any-json'), numClasses: 1, steps, accepts });
  }

  /** Whether any string will do as the next token goes. */
  isFree(room: number, needed: number): boolean {
    return room >= this.#most && needed === 0;
  }

  /** @param room how many characters there may still be @param needed how many there must be */
  state(room: number, needed: number, node: number): number {
    const size = this.#most + 1;
    return this.texts.stateAt(Math.min(room, this.#most) * size + Math.min(needed, this.#most), node);
  }
}
