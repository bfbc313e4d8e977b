/** The rules of one grammar in xgrammar's EBNF, written once each however often they are asked for. */
import { EngineError } from '../../runtime/errors.ts';
import { factored } from './factored.ts';

/** More rules than this take the compiler longer than a request may wait. */
export const MAX_RULES = 20_000;

/** A reference to a rule. */
export interface Ref {
  readonly rule: string;
}

/** What follows one another: terminals in EBNF (`"text"`, `[a-z]`) and references. Empty: the empty text. */
export type Sequence = readonly (string | Ref)[];

/** A rule's alternatives. */
export type Body = readonly Sequence[];

const writeSequence = (sequence: Sequence): string =>
  sequence.length === 0 ? '""' : sequence.map((item) => (typeof item === 'string' ? item : item.rule)).join(' ');

const writeBody = (body: Body): string => body.map(writeSequence).join(' | ');

const hex = (value: number, length: number): string => value.toString(16).padStart(length, '0');

const writeCharacter = (character: string): string => {
  const code = character.codePointAt(0) as number;
  if (character === '"' || character === '\\') return `\\${character}`;
  if (code >= 0x20 && code < 0x7f) return character;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
};

/** A terminal that is exactly this text, which must not be empty. */
export const literal = (text: string): string => `"${[...text].map(writeCharacter).join('')}"`;

/**
 * A terminal that is one byte in one of these ranges (inclusive).
 * xgrammar reads the ranges of a positive class as bytes, but a class of one value as a code point: such a one is
 * written twice.
 */
export const byteClass = (ranges: readonly (readonly [number, number])[]): string => {
  const written = ranges.map(([low, high]) => `\\x${hex(low, 2)}-\\x${hex(high, 2)}`).join('');
  const [first, ...more] = ranges;
  const isOneValue = more.length === 0 && first?.[0] === first?.[1];
  if (isOneValue && first !== undefined && first[0] < 0x80) return literal(String.fromCharCode(first[0]));
  return `[${isOneValue ? written : ''}${written}]`;
};

/** Rules by name; rules with the same alternatives are one. */
export class RuleBook {
  readonly #bodies = new Map<string, Body>();
  readonly #nameOf = new Map<string, string>();
  readonly #made = new Map<string, Ref>();
  readonly #path: string;

  /** @param path the request field that the grammar is made from, for errors */
  constructor(path: string) {
    this.#path = path;
  }

  /** A rule with these alternatives. */
  rule(kind: string, alternatives: Body): Ref {
    const body = factored(this, alternatives);
    const only = body.length === 1 && body[0]?.length === 1 ? body[0][0] : undefined;
    if (typeof only === 'object') return only;
    const text = writeBody(body);
    const known = this.#nameOf.get(text);
    if (known !== undefined) return { rule: known };
    const ref = this.reserve(kind);
    this.#bodies.set(ref.rule, body);
    this.#nameOf.set(text, ref.rule);
    return ref;
  }

  /** What `build` makes, made once for a key. */
  once(key: string, build: () => Ref): Ref {
    const known = this.#made.get(key);
    if (known) return known;
    const made = build();
    this.#made.set(key, made);
    return made;
  }

  /**
   * A name for a rule that refers to itself: to be followed by `define`.
   * @throws EngineError invalid_request when the grammar has too many rules
   */
  reserve(kind: string): Ref {
    if (this.#bodies.size >= MAX_RULES) {
      throw new EngineError(
        'invalid_request',
        `${this.#path} needs more than ${MAX_RULES} grammar rules; make it smaller, or lower its repetition counts`,
        { param: this.#path },
      );
    }
    const rule = `${kind}_${this.#bodies.size}`;
    this.#bodies.set(rule, []);
    return { rule };
  }

  define({ rule }: Ref, body: Body): void {
    this.#bodies.set(rule, factored(this, body));
  }

  /** A rule's alternatives; none while it is not defined. */
  bodyOf({ rule }: Ref): Body {
    return this.#bodies.get(rule) ?? [];
  }

  /** Whether some finite text satisfies the rule. */
  canEnd({ rule }: Ref): boolean {
    const seen = new Set([rule]);
    for (const name of seen) {
      for (const item of (this.#bodies.get(name) ?? []).flat()) if (typeof item === 'object') seen.add(item.rule);
    }
    return this.#finiteRules(seen).has(rule);
  }

  /**
   * The grammar's text, in which `root` is the given rule. Alternatives that could never be finished are left out, so
   * that nothing generated runs into them.
   */
  text(root: Ref): string {
    const finite = this.#finiteRules(this.#bodies.keys());
    const canEnd = (sequence: Sequence) => sequence.every((item) => typeof item === 'string' || finite.has(item.rule));
    const lines = [`root ::= ${root.rule}`];
    const seen = new Set([root.rule]);
    for (const name of seen) {
      const body = (this.#bodies.get(name) ?? []).filter(canEnd);
      lines.push(`${name} ::= ${writeBody(body)}`);
      for (const item of body.flat()) if (typeof item === 'object') seen.add(item.rule);
    }
    return `${lines.join('\n')}\n`;
  }

  /** Those of some rules, which refer to no others, that some finite text satisfies. */
  #finiteRules(names: Iterable<string>): Set<string> {
    const usersOf = new Map<string, string[]>();
    const pending: string[] = [];
    for (const name of names) {
      pending.push(name);
      for (const item of (this.#bodies.get(name) ?? []).flat()) {
        if (typeof item === 'string') continue;
        const users = usersOf.get(item.rule);
        if (users) users.push(name);
        else usersOf.set(item.rule, [name]);
      }
    }
    const finite = new Set<string>();
    const holds = (sequence: Sequence) => sequence.every((item) => typeof item === 'string' || finite.has(item.rule));
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (finite.has(name) || !(this.#bodies.get(name) ?? []).some(holds)) continue;
      finite.add(name);
      pending.push(...(usersOf.get(name) ?? []));
    }
    return finite;
  }
}
