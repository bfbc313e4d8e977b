/** An answer through the output parser, in pieces, and what came of it, joined. */
import type { GenerationEvent, ToolDefinition } from '../../src/runtime/api.ts';
import { type OutputFormat, OutputParser } from '../../src/runtime/output/parser.ts';
import { TOOL_FORMATS, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';

/** A call as a client gets it; `isWhole` is false for one that has no end. */
export interface ParsedCall {
  readonly name: string;
  readonly arguments: string;
  readonly isWhole: boolean;
}

/** What an answer said, in order: runs of text, and calls. */
export interface ParsedAnswer {
  readonly said: readonly (string | ParsedCall)[];
  readonly reasoning: string;
  readonly numWarnings: number;
  readonly stop: string | undefined;
  readonly ids: readonly string[];
  readonly numCalls: number;
  readonly reasoningTokens: number;
  readonly events: readonly GenerationEvent[];
}

/** A piece of text, or a control token. */
export type AnswerPiece = string | { readonly tag: string };

const FIRST_TAG_ID = 1000;

/** The format's tags as control tokens. */
export const tagIds = (format: ToolFormatName): ReadonlyMap<number, string> =>
  new Map(TOOL_FORMATS[format].tags.map((tag, index) => [FIRST_TAG_ID + index, tag]));

/** Pieces of one character each, and the format's tags as control tokens. */
export const inTokens = (format: ToolFormatName, output: string): AnswerPiece[] => {
  const { tags } = TOOL_FORMATS[format];
  const pieces: AnswerPiece[] = [];
  for (let rest = output; rest !== ''; ) {
    const tag = tags.find((candidate) => rest.startsWith(candidate));
    const text = tag ?? String.fromCodePoint(rest.codePointAt(0)!);
    pieces.push(tag === undefined ? text : { tag });
    rest = rest.slice(text.length);
  }
  return pieces;
};

export const parseAnswer = (
  format: ToolFormatName,
  tools: readonly ToolDefinition[],
  pieces: readonly AnswerPiece[],
  { isCut = false, ...more }: Partial<OutputFormat> & { isCut?: boolean } = {},
): ParsedAnswer => {
  const tags = tagIds(format);
  const idOf = new Map([...tags].map(([id, tag]) => [tag, id]));
  const reasoning = format === 'harmony' ? 'harmony' : 'none';
  const parser = new OutputParser({
    reasoning,
    reasoningOpened: false,
    stop: [],
    toolFormat: format,
    tools,
    tags,
    ...more,
  });
  const events: GenerationEvent[] = [];
  const say = (said: readonly GenerationEvent[]): void => {
    for (const event of said) events.push(event);
  };
  for (const piece of pieces) {
    if (parser.stopSequence !== undefined) break;
    if (typeof piece === 'string') say(parser.push(piece, { tokenId: 0 }));
    else say(parser.push('', { tokenId: idOf.get(piece.tag)! }));
  }
  if (parser.stopSequence === undefined) say(parser.flush('', isCut));
  return {
    ...joined(events),
    stop: parser.stopSequence,
    numCalls: parser.numCalls,
    reasoningTokens: parser.reasoningTokens,
  };
};

/** Checks the order of events on the way. */
const joined = (events: readonly GenerationEvent[]) => {
  const said: (string | { name: string; arguments: string; isWhole: boolean })[] = [];
  const ids: string[] = [];
  let reasoning = '';
  let numWarnings = 0;
  let isOpen = false;
  for (const event of events) {
    const last = said.at(-1);
    if (event.type === 'reasoning') reasoning += event.text;
    else if (event.type === 'warning') {
      numWarnings++;
      if ((event.index !== undefined) !== isOpen) throw new Error('a warning names a call that is not open, or none');
      isOpen = false;
    } else if (event.type === 'text') {
      if (isOpen) throw new Error('text comes inside a call');
      if (typeof last === 'string') said[said.length - 1] = last + event.text;
      else if (event.text !== '') said.push(event.text);
    } else if (event.type === 'tool_call_start') {
      if (isOpen || event.index !== ids.length) throw new Error('calls overlap, or are not counted');
      isOpen = true;
      ids.push(event.id);
      said.push({ name: event.name, arguments: '', isWhole: false });
    } else if (event.type === 'tool_call_arguments' || event.type === 'tool_call_end') {
      if (!isOpen || typeof last !== 'object') throw new Error(`${event.type} outside a call`);
      if (event.type === 'tool_call_arguments') last.arguments += event.text;
      else last.isWhole = true;
      isOpen = event.type === 'tool_call_arguments';
    }
  }
  return { said, reasoning, numWarnings, ids, events };
};
