/**
 * The little of Markdown that models write most: code, headings, lists, quotes, bold, italic. Anything else stays text,
 * HTML and links above all. Reads a text in time proportional to its length, whatever is in it.
 * Source: CommonMark 0.31.2, simplified.
 */

export type Inline =
  | { readonly kind: 'text' | 'code'; readonly text: string }
  | { readonly kind: 'strong' | 'emphasis'; readonly children: readonly Inline[] };

export type Block =
  | { readonly kind: 'paragraph'; readonly children: readonly Inline[] }
  | { readonly kind: 'heading'; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | {
      readonly kind: 'list';
      /** Undefined: bullets. */
      readonly firstNumber: number | undefined;
      readonly items: readonly (readonly Block[])[];
    }
  | { readonly kind: 'rule' };

// The last part of each takes whatever is left, so that none of them searches.
const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/s;
const ITEM = /^( {0,8})(?:([-*+])|(\d{1,9})[.)])(?:( +)(.*))?$/s;
const QUOTE = /^ {0,3}> ?(.*)$/s;
const RULE = /^ {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$/;

/** Deeper lists and quotes stay text. */
const MAX_DEPTH = 6;

export const parseMarkdown = (text: string): readonly Block[] => parseBlocks(text.split(/\r\n|\n|\r/), 0);

const parseBlocks = (lines: readonly string[], depth: number): readonly Block[] => {
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? '';
    if (line.trim() === '') {
      at++;
      continue;
    }
    const [block, next] = readBlock(lines, at, depth);
    blocks.push(block);
    at = next;
  }
  return blocks;
};

/** One block, and the line after it. */
type Read = readonly [block: Block, next: number];

const readBlock = (lines: readonly string[], at: number, depth: number): Read => {
  const line = lines[at] ?? '';
  const fence = FENCE.exec(line);
  if (fence !== null) return readCode(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading !== null) {
    const [, marks = '', text = ''] = heading;
    const children = parseInlines(text.replace(/\s#+\s*$/, '').trim());
    return [{ kind: 'heading', level: marks.length, children }, at + 1];
  }
  if (RULE.test(line)) return [{ kind: 'rule' }, at + 1];
  if (depth < MAX_DEPTH && QUOTE.test(line)) return readQuote(lines, at, depth);
  if (depth < MAX_DEPTH && ITEM.test(line)) return readList(lines, at, depth);
  return readParagraph(lines, at, depth);
};

/** To the closing fence, or, while the answer is still being written, to the end. */
const readCode = (lines: readonly string[], at: number, [whole, marks = '', info = '']: RegExpExecArray): Read => {
  const indent = whole.length - whole.trimStart().length;
  const isEnd = (line: string): boolean => {
    const bare = line.trim();
    return bare.length >= marks.length && bare === (marks[0] ?? '').repeat(bare.length);
  };
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end] ?? '')) end++;
  const text = lines.slice(at + 1, end).map((line) => withoutIndent(line, indent));
  return [{ kind: 'code', language: info.trim(), text: text.join('\n') }, end + 1];
};

const readQuote = (lines: readonly string[], at: number, depth: number): Read => {
  const quoted: string[] = [];
  let next = at;
  for (; next < lines.length; next++) {
    const match = QUOTE.exec(lines[next] ?? '');
    if (match === null) break;
    quoted.push(match[1] ?? '');
  }
  return [{ kind: 'quote', blocks: parseBlocks(quoted, depth + 1) }, next];
};

interface Marker {
  /** Columns before the marker, and before the text behind it. */
  readonly indent: number;
  readonly textIndent: number;
  readonly isNumbered: boolean;
  readonly number: number;
  readonly text: string;
}

const markerOf = (line: string): Marker | undefined => {
  const match = RULE.test(line) ? null : ITEM.exec(line);
  if (match === null) return undefined;
  const [, before = '', bullet, number = '', gap = ' ', text = ''] = match;
  const width = bullet === undefined ? number.length + 1 : 1;
  const textIndent = before.length + width + Math.min(gap.length, 4);
  return { indent: before.length, textIndent, isNumbered: bullet === undefined, number: Number(number), text };
};

const readList = (lines: readonly string[], at: number, depth: number): Read => {
  const first = markerOf(lines[at] ?? '');
  const items: (readonly Block[])[] = [];
  let next = at;
  for (;;) {
    const marker = markerOf(lines[next] ?? '');
    if (marker === undefined || marker.isNumbered !== first?.isNumbered || marker.indent > first.indent + 1) break;
    const content = [marker.text];
    for (next++; next < lines.length && belongsTo(lines, next, marker); next++) {
      content.push(withoutIndent(lines[next] ?? '', marker.textIndent));
    }
    items.push(parseBlocks(content, depth + 1));
  }
  return [{ kind: 'list', firstNumber: first?.isNumbered ? first.number : undefined, items }, next];
};

/** Whether a line goes on with an item: indented behind its marker, or an empty one before such a line. */
const belongsTo = (lines: readonly string[], at: number, { indent }: Marker): boolean => {
  const line = lines[at] ?? '';
  if (line.trim() !== '') return indentOf(line) > indent + 1;
  const following = lines[at + 1] ?? '';
  return following.trim() !== '' && (indentOf(following) > indent + 1 || markerOf(following) !== undefined);
};

const readParagraph = (lines: readonly string[], at: number, depth: number): Read => {
  const isInterrupted = (line: string): boolean =>
    line.trim() === '' ||
    FENCE.test(line) ||
    HEADING.test(line) ||
    RULE.test(line) ||
    (depth < MAX_DEPTH && (QUOTE.test(line) || beginsList(line)));
  let next = at + 1;
  while (next < lines.length && !isInterrupted(lines[next] ?? '')) next++;
  // Lines stay lines: models mean them, in verses and addresses.
  return [{ kind: 'paragraph', children: parseInlines(lines.slice(at, next).join('\n').trim()) }, next];
};

/** Within a paragraph: a line that happens to begin with a year is no list. */
const beginsList = (line: string): boolean => {
  const marker = markerOf(line);
  return marker !== undefined && (!marker.isNumbered || marker.number === 1);
};

const indentOf = (line: string): number => line.length - line.trimStart().length;

const withoutIndent = (line: string, width: number): string => line.slice(Math.min(width, indentOf(line)));

/** Code, bold and italic; a mark without its partner is a character. */
export const parseInlines = (text: string): readonly Inline[] => {
  const marks = new Marks(text);
  return readInlines(text, 0, text.length, marks);
};

const readInlines = (text: string, from: number, to: number, marks: Marks): readonly Inline[] => {
  const inlines: Inline[] = [];
  let plainFrom = from;
  const flush = (end: number): void => {
    if (end > plainFrom) inlines.push({ kind: 'text', text: text.slice(plainFrom, end) });
  };
  for (let at = marks.from(from); at < to; ) {
    const span = spanAt(text, at, to, marks);
    if (span === undefined) {
      at = marks.from(at + marks.runAt(at));
      continue;
    }
    flush(at);
    const [inner, end] = [at + span.width, span.end - span.width];
    inlines.push(
      span.kind === 'code'
        ? { kind: 'code', text: codeText(text.slice(inner, end)) }
        : { kind: span.kind, children: readInlines(text, inner, end, marks) },
    );
    plainFrom = span.end;
    at = marks.from(span.end);
  }
  flush(to);
  return inlines;
};

interface Span {
  readonly kind: 'code' | 'strong' | 'emphasis';
  /** Of the mark on either side. */
  readonly width: number;
  /** Behind the closing mark. */
  readonly end: number;
}

const KINDS = { 1: 'emphasis', 2: 'strong' } as const;

const spanAt = (text: string, at: number, to: number, marks: Marks): Span | undefined => {
  const mark = text[at];
  const width = marks.runAt(at);
  const kind = mark === '`' ? 'code' : KINDS[width as 1 | 2];
  if (kind === undefined) return undefined;
  if (kind !== 'code' && /\s/.test(text[at + width] ?? ' ')) return undefined;
  const closing = marks.next(at, to);
  return closing === undefined ? undefined : { kind, width, end: closing + width };
};

/** One space on each side belongs to the marks: it lets code begin with a backtick. */
const codeText = (text: string): string =>
  text.startsWith(' ') && text.endsWith(' ') && text.trim() !== '' ? text.slice(1, -1) : text;

/** The runs of backticks and asterisks of a text, and for each the next one of its kind: found in one pass from the end. */
class Marks {
  readonly #text: string;
  readonly #runs = new Map<number, number>();
  readonly #next = new Map<number, number>();

  constructor(text: string) {
    this.#text = text;
    const starts: number[] = [];
    for (const { index, 0: run } of text.matchAll(/`+|\*+/g)) {
      this.#runs.set(index, run.length);
      starts.push(index);
    }
    const latest = new Map<string, number>();
    for (const start of starts.reverse()) {
      const width = this.#runs.get(start) ?? 0;
      const isCode = text[start] === '`';
      const key = `${isCode ? '`' : '*'}${width}`;
      const next = latest.get(key);
      if (next !== undefined) this.#next.set(start, next);
      // An asterisk after a space opens; it closes nothing.
      if (isCode || !/\s/.test(text[start - 1] ?? ' ')) latest.set(key, start);
    }
  }

  /** The first mark here or further on; behind the text: none. */
  from(at: number): number {
    const mark = /[`*]/g;
    mark.lastIndex = at;
    return mark.exec(this.#text)?.index ?? this.#text.length;
  }

  /** How many marks stand here. */
  runAt(at: number): number {
    return this.#runs.get(at) ?? 1;
  }

  /** Where the next run of the same kind and width begins, before `to`. */
  next(at: number, to: number): number | undefined {
    const next = this.#next.get(at);
    return next !== undefined && next < to ? next : undefined;
  }
}
