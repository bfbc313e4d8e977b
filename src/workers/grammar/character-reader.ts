/** Reads characters from bytes, as classes of characters that an automaton does not tell apart. */
import { ESCAPED, escapedCodes, escapeOf } from './automaton-rules.ts';
import { type CodePoints, intersect, type Range, subtract, utf8 } from './code-points.ts';

/** No character begins or goes on like this. */
export const DEAD = -1;
/** The string's closing quote. */
export const OVER = -2;
/** Entries from here down are characters, read to their end. */
const FIRST_CLASS = -3;

/** A byte range for each byte of a character. */
type Bytes = readonly Range[];

/**
 * How characters are written: `json`: in a JSON string, escaped only where they must be; `any-json`: escaped or not;
 * `plain`: as they are.
 */
export type Writing = 'json' | 'any-json' | 'plain';

const HEX: readonly Range[] = [
  [0x30, 0x39],
  [0x41, 0x46],
  [0x61, 0x66],
];
const bytesOf = (text: string): Bytes => Array.from(Buffer.from(text), (byte): Range => [byte, byte]);

const products = (sets: readonly (readonly Range[])[]): Bytes[] =>
  sets.reduce<Bytes[]>((heads, set) => heads.flatMap((head) => set.map((range) => [...head, range])), [[]]);

/** Every escape that JSON knows, of one character each. */
const anyEscapes = (): Bytes[] => {
  const first: Range[] = [
    [0x30, 0x39],
    [0x41, 0x43],
    [0x45, 0x46],
    [0x61, 0x63],
    [0x65, 0x66],
  ];
  const d: Range[] = [
    [0x44, 0x44],
    [0x64, 0x64],
  ];
  const high: Range[] = [
    [0x38, 0x39],
    [0x41, 0x42],
    [0x61, 0x62],
  ];
  const low: Range[] = [
    [0x43, 0x46],
    [0x63, 0x66],
  ];
  const unicode = bytesOf('\\u').map((range) => [range]);
  return [
    ...Array.from('"\\/bfnrt', (letter) => bytesOf(`\\${letter}`)),
    ...products([...unicode, first, HEX, HEX, HEX]),
    ...products([...unicode, d, [[0x30, 0x37]], HEX, HEX]),
    ...products([...unicode, d, high, HEX, HEX, ...unicode, d, low, HEX, HEX]),
  ];
};

const written = (set: CodePoints, writing: Writing): Bytes[] => {
  if (writing === 'plain') return utf8(set);
  const escapes =
    writing === 'any-json'
      ? anyEscapes()
      : escapedCodes.filter((code) => intersect(set, [[code, code]]).length > 0).map((code) => bytesOf(escapeOf(code)));
  return [...utf8(subtract(set, ESCAPED)), ...escapes];
};

export class CharacterReader {
  /** [node, byte]: a node, DEAD, OVER, or a class as `classOf` tells. Node 0: between characters. */
  readonly table: Int32Array;
  readonly numNodes: number;
  /** By node: the classes of characters that begin as read so far. */
  readonly classesBehind: readonly ReadonlySet<number>[];

  /** @param classes disjoint */
  constructor(classes: readonly CodePoints[], writing: Writing) {
    const nodes = [new Int32Array(256).fill(DEAD)];
    const behind = [new Set<number>()];
    for (const [index, set] of classes.entries()) {
      for (const bytes of written(set, writing)) add(nodes, behind, bytes, index);
    }
    if (writing !== 'plain') nodes[0]![0x22] = OVER;
    this.numNodes = nodes.length;
    this.classesBehind = behind;
    this.table = new Int32Array(256 * nodes.length);
    for (const [index, node] of nodes.entries()) this.table.set(node, 256 * index);
  }
}

/** The class of an entry; negative: it is none. */
export const classOf = (entry: number): number => FIRST_CLASS - entry;

/** Adds a character's bytes. Ranges of disjoint sets are either one and the same byte or have none in common. */
const add = (nodes: Int32Array[], behind: Set<number>[], bytes: Bytes, index: number): void => {
  let node = 0;
  for (const [i, [low, high]] of bytes.entries()) {
    behind[node]!.add(index);
    const isLast = i === bytes.length - 1;
    let next = isLast ? FIRST_CLASS - index : nodes[node]![low]!;
    if (!isLast && next === DEAD) {
      next = nodes.push(new Int32Array(256).fill(DEAD)) - 1;
      behind.push(new Set());
    }
    nodes[node]!.fill(next, low, high + 1);
    node = next;
  }
};
