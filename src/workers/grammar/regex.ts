/** Regular expressions as automata and as grammars. */
import { EngineError } from '../../runtime/errors.ts';
import { type Automaton, determinize, minimize, type Place } from './automaton.ts';
import { automatonRule } from './automaton-rules.ts';
import { ALL } from './code-points.ts';
import { parseRegex, type RegexNode } from './regex-syntax.ts';
import { type Ref, RuleBook } from './rule-book.ts';

/** A pattern with more places than this, its repetitions written out, is refused. */
const MAX_PLACES = 50_000;
/** Larger automata stay as they are: finding equal states takes a time that grows with the square. */
const MAX_MINIMIZED = 400;

/** Builds Thompson's construction. */
class Places {
  readonly all: Place[] = [];

  add(): number {
    if (this.all.length >= MAX_PLACES) {
      throw new EngineError(
        'invalid_request',
        `its repetitions, written out, are more than ${MAX_PLACES} steps; lower their counts`,
      );
    }
    return this.all.push({ edges: [], free: [], atStart: [], atEnd: [] }) - 1;
  }

  at(id: number): Place {
    return this.all[id] as Place;
  }

  /** Adds what the node matches after a place. Returns the place behind it. */
  append(node: RegexNode, from: number): number {
    if (node.kind === 'sequence') return node.nodes.reduce((at, part) => this.append(part, at), from);
    if (node.kind === 'repeat') return this.#repeat(node.node, node.minimum, node.maximum, from);
    const to = this.add();
    if (node.kind === 'set') this.at(from).edges.push({ on: node.set, to });
    else if (node.kind === 'start') this.at(from).atStart.push(to);
    else if (node.kind === 'end') this.at(from).atEnd.push(to);
    else {
      for (const choice of node.nodes) {
        const begin = this.add();
        this.at(from).free.push(begin);
        this.at(this.append(choice, begin)).free.push(to);
      }
    }
    return to;
  }

  #repeat(node: RegexNode, minimum: number, maximum: number, from: number): number {
    let at = from;
    for (let i = 0; i < minimum; i++) at = this.append(node, at);
    const end = this.add();
    if (maximum === Number.POSITIVE_INFINITY) {
      const loop = this.add();
      this.at(at).free.push(loop);
      this.at(this.append(node, loop)).free.push(loop);
      this.at(loop).free.push(end);
      return end;
    }
    for (let i = minimum; i < maximum; i++) {
      this.at(at).free.push(end);
      at = this.append(node, at);
    }
    this.at(at).free.push(end);
    return end;
  }
}

/** Texts that a pattern matches. */
const automatonOf = (pattern: string, isSearch: boolean): Automaton => {
  const node = parseRegex(pattern);
  const places = new Places();
  const first = places.add();
  try {
    if (isSearch) places.at(first).edges.push({ on: ALL, to: first });
    const begin = places.add();
    places.at(first).free.push(begin);
    const last = places.append(node, begin);
    if (isSearch) places.at(last).edges.push({ on: ALL, to: last });
    const automaton = determinize(places.all, first, last);
    return automaton.length <= MAX_MINIMIZED ? minimize(automaton) : automaton;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(
      error.code,
      `the regular expression ${JSON.stringify(pattern)} is too large: ${error.message}`,
    );
  }
};

/** Texts in which the pattern matches somewhere, as `pattern` means it in JSON Schema. */
export const searchAutomaton = (pattern: string): Automaton => automatonOf(pattern, true);

/** Texts that the pattern matches from end to end. */
export const wholeAutomaton = (pattern: string): Automaton => automatonOf(pattern, false);

/**
 * Texts that the regular expression of a request matches from end to end.
 * @param path the request field that holds the pattern, for errors
 * @throws EngineError invalid_request for what is no regular expression or not a regular language, with the position
 */
export const regexAutomaton = (pattern: string, path: string): Automaton => {
  try {
    const automaton = wholeAutomaton(pattern);
    if (automaton.length > 0) return automaton;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.code, `${path}: ${error.message}`, { param: path });
  }
  throw new EngineError(
    'invalid_request',
    `${path}: no text matches the regular expression ${JSON.stringify(pattern)}`,
    { param: path },
  );
};

/** Adds the rule of those texts to a book. @throws EngineError as `regexAutomaton` */
export const regexRule = (book: RuleBook, pattern: string, path: string): Ref =>
  automatonRule(book, regexAutomaton(pattern, path), 'plain');

/** The grammar, in xgrammar's EBNF, of `regexRule` alone. */
export const regexGrammar = (pattern: string, path: string): string => {
  const book = new RuleBook(path);
  return book.text(regexRule(book, pattern, path));
};
