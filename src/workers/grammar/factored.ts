/**
 * Alternatives that begin differently. Of a rule's alternatives, xgrammar 0.1.27 joins states that what came before does
 * not tell apart and states that what follows does not, both at once: of `"100" | "1000000"` it makes a grammar that also
 * lets through 10000000000. Where no two alternatives begin alike, there is nothing for it to join.
 */
import type { Body, Ref, Sequence } from './rule-book.ts';

/** The rules that alternatives are made of. */
interface Rules {
  rule(kind: string, body: Body): Ref;
  bodyOf(ref: Ref): Body;
}

const CHARACTERS = /\\(?:U[0-9a-f]{8}|u[0-9a-f]{4}|.)|[^\\]/gu;

/** The characters of a terminal that is a text, as written; undefined: it is something else. */
const charactersOf = (item: string | Ref | undefined): readonly string[] | undefined =>
  typeof item === 'string' && /^"(?:[^"\\]|\\.)+"$/u.test(item) ? item.slice(1, -1).match(CHARACTERS)! : undefined;

const textOf = (characters: readonly string[]): Sequence =>
  characters.length === 0 ? [] : [`"${characters.join('')}"`];

/** What an alternative begins with: the first character of a text, else the whole of its first item. */
const headOf = ([first]: Sequence): string => {
  if (first === undefined) return '';
  return charactersOf(first)?.[0] ?? (typeof first === 'string' ? first : `rule ${first.rule}`);
};

const commonLength = (texts: readonly (readonly string[])[]): number => {
  const [first = []] = texts;
  const end = first.findIndex((character, i) => texts.some((text) => text[i] !== character));
  return end < 0 ? first.length : end;
};

const isTerminal = (body: Body): boolean =>
  body.every((sequence) => sequence.every((item) => typeof item === 'string'));
const isText = (body: Body): boolean => body.every((sequence) => sequence.every((item) => charactersOf(item)));

/** xgrammar writes rules without references out where an alternative begins with one: so do we, or we add a reference. */
const writtenOut = (rules: Rules, sequence: Sequence): Body => {
  const [first, ...rest] = sequence;
  if (typeof first !== 'object') return [sequence];
  const body = rules.bodyOf(first);
  if (body.length === 0 || !isTerminal(body)) return [sequence];
  if (isText(body)) return body.map((each) => [...each, ...rest]);
  const nothing = rules.rule('apart', [[]]);
  const apart = rules.rule(
    'apart',
    body.map((each) => [...each, nothing]),
  );
  return [[apart, ...rest]];
};

/** The same texts, in alternatives of which no two begin with the same character or the same rule. */
export const factored = (rules: Rules, body: Body): Body => {
  if (body.length < 2) return body;
  const groups = new Map<string, Sequence[]>();
  for (const sequence of body.flatMap((each) => writtenOut(rules, each))) {
    const head = headOf(sequence);
    groups.set(head, [...(groups.get(head) ?? []), sequence]);
  }
  return [...groups.values()].map((group) => (group.length === 1 ? group[0]! : joined(rules, group)));
};

/** Alternatives that begin alike, as one. */
const joined = (rules: Rules, group: readonly Sequence[]): Sequence => {
  const texts = group.map(([first]) => charactersOf(first));
  if (!texts.every((text) => text !== undefined)) {
    const [head] = group[0]!;
    return head === undefined
      ? []
      : [
          head,
          ...rests(
            rules,
            group.map((sequence) => sequence.slice(1)),
          ),
        ];
  }
  const length = commonLength(texts);
  const behind = group.map((sequence, i) => [...textOf(texts[i]!.slice(length)), ...sequence.slice(1)]);
  return [...textOf(texts[0]!.slice(0, length)), ...rests(rules, behind)];
};

const rests = (rules: Rules, sequences: readonly Sequence[]): Sequence => {
  const unique = [...new Map(sequences.map((sequence) => [JSON.stringify(sequence), sequence])).values()];
  return unique.length === 1 ? unique[0]! : [rules.rule('rest', unique)];
};
