/** Grammars that requests bring, with alternatives that begin differently: see `factored`. */
import { factored } from './factored.ts';
import type { Body, Ref, Sequence } from './rule-book.ts';

interface Rule {
  readonly body: Body;
  /** A lookahead assertion, as written. */
  readonly behind: string;
}

const RULE = /^(?<name>[\w.-]+) ::= \((?<body>.*?)\)(?<behind> \(=\(.*\)\))?$/su;
const ITEM = /"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]\*?|[A-Za-z_][\w.-]*(?:\{\d+, ?-?\d+\})?|[()|]|\s+/suy;

/** The alternatives between the outer parentheses; undefined: they are written as is not known here. */
const alternativesOf = (text: string, isRule: (name: string) => boolean): Body | undefined => {
  const alternatives: Sequence[] = [];
  let sequence: (string | Ref)[] = [];
  ITEM.lastIndex = 0;
  for (let at = 0; at < text.length; at = ITEM.lastIndex) {
    const item = ITEM.exec(text)?.[0];
    if (item === undefined) return undefined;
    if (item === '|') {
      alternatives.push(sequence);
      sequence = [];
    } else if (item !== '(' && item !== ')' && item !== '""' && item.trim() !== '') {
      sequence.push(isRule(item) ? { rule: item } : item);
    }
  }
  return [...alternatives, sequence];
};

const rulesOf = (printed: string): Map<string, Rule> | undefined => {
  const lines = printed.split('\n').filter((line) => line.trim() !== '');
  const found = lines.map((line) => RULE.exec(line)?.groups);
  const names = new Set(found.map((groups) => groups?.name));
  const rules = new Map<string, Rule>();
  for (const groups of found) {
    const body = groups && alternativesOf(groups.body!, (name) => names.has(name));
    if (body === undefined) return undefined;
    rules.set(groups!.name!, { body, behind: groups!.behind ?? '' });
  }
  return rules;
};

const written = (body: Body): string =>
  body
    .map((sequence) => sequence.map((item) => (typeof item === 'string' ? item : item.rule)).join(' ') || '""')
    .map((sequence) => (sequence === '""' ? sequence : `(${sequence})`))
    .join(' | ');

/**
 * A grammar of the same texts.
 * @param printed as xgrammar writes it, a rule a line
 * @returns undefined where no rule has alternatives that begin alike, or the grammar cannot be read here
 */
export const withApartAlternatives = (printed: string): string | undefined => {
  const rules = rulesOf(printed);
  if (rules === undefined) return undefined;
  const added = new Map<string, string>();
  const makers = {
    bodyOf: ({ rule }: Ref): Body => rules.get(rule)?.body ?? [],
    rule: (kind: string, alternatives: Body): Ref => {
      const body = factored(makers, alternatives);
      const key = written(body);
      const name = added.get(key) ?? `${kind}-of-${rules.size}-rules-${added.size}`.replaceAll('-', '_');
      added.set(key, name);
      return { rule: name };
    },
  };
  const lines = [...rules].map(
    ([name, { body, behind }]) => `${name} ::= (${written(factored(makers, body))})${behind}`,
  );
  if (added.size === 0) return undefined;
  return [...lines, ...[...added].map(([body, name]) => `${name} ::= (${body})`), ''].join('\n');
};
