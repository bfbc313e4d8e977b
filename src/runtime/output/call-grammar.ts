/** The forms of answers with tool calls, which the grammar thread compiles. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { ToolDefinition } from '../api.ts';

export type TagFormat = Extract<AnswerFormat, { type: 'tag' }>;

export interface GrammarOptions {
  /** auto: text, and calls where the model begins one. required: calls and nothing else. */
  readonly mode: 'auto' | 'required';
  /** False: at most one call. */
  readonly parallel: boolean;
  /** The form of an answer in text, for formats that write the whole answer (harmony). Absent: any text. */
  readonly text?: AnswerFormat;
}

/** A call's arguments as JSON: by the tool's schema where it is strict, else any object. */
export const argumentsFormat = ({ name, strict, parameters }: ToolDefinition): AnswerFormat => ({
  type: 'json_schema',
  json_schema: strict && parameters ? parameters : { type: 'object' },
  path: `tools[${JSON.stringify(name)}]: the parameters`,
});

/** White space as models write it, compact or spaced: more of it would be a place to get lost in. */
const GAP = '[ \\n]?';
const pattern = (...parts: readonly string[]): AnswerFormat => ({ type: 'regex', pattern: parts.join(GAP) });

/**
 * `{"name": NAME, KEY: {…}}` of one of the tools, up to before `}`.
 * @param first what comes first of it: `"name"`, or nothing where that was said
 */
export const callMembers = (tools: readonly ToolDefinition[], key: string, first = '"name"'): AnswerFormat => ({
  type: 'sequence',
  elements: [
    pattern(first === '' ? '' : `${GAP}${first}`, ':', ''),
    oneOf(
      tools.map((tool) => ({
        type: 'sequence',
        elements: [
          { type: 'const_string', value: JSON.stringify(tool.name) },
          pattern('', ',', `"${key}"`, ':', ''),
          argumentsFormat(tool),
        ],
      })),
    ),
    pattern('', ''),
  ],
});

const oneOf = (elements: readonly AnswerFormat[]): AnswerFormat =>
  elements.length === 1 ? elements[0]! : { type: 'or', elements };

/** A call as a JSON object, of any of the tools. */
export const callObject = (tools: readonly ToolDefinition[], key = 'arguments'): TagFormat => ({
  type: 'tag',
  begin: '{',
  content: callMembers(tools, key),
  end: '}',
});

/** Such an object between tags. */
export const taggedCall = (
  tools: readonly ToolDefinition[],
  { begin, end, key }: { readonly begin: string; readonly end: string; readonly key?: string },
): TagFormat => ({
  type: 'tag',
  begin,
  content: { type: 'sequence', elements: [pattern('', ''), callObject(tools, key), pattern('', '')] },
  end,
});

/** Such objects in a list between tags, of which one holds all calls of an answer. */
export const callList = (
  tools: readonly ToolDefinition[],
  options: GrammarOptions,
  { begin, end }: { readonly begin: string; readonly end: string },
): AnswerFormat => {
  const call = callObject(tools);
  // A separator has one wording: the space behind it is the object's own.
  const spaced: TagFormat = { ...call, begin: ' {' };
  const content = callsWithSeparator(options.parallel ? [call, spaced] : [call], ',', options);
  const list: TagFormat = { type: 'tag', begin, content, end };
  return options.mode === 'required' ? list : callsInText([list], [begin], { parallel: false });
};

/** Calls one after the other. */
export const callsWithSeparator = (
  tags: readonly TagFormat[],
  separator: string,
  { parallel }: Pick<GrammarOptions, 'parallel'>,
): AnswerFormat => {
  if (parallel) return { type: 'tags_with_separator', tags, separator, at_least_one: true, stop_after_first: false };
  return oneOf(tags);
};

/** Text with calls in it, each beginning with one of the triggers. */
export const callsInText = (
  tags: readonly TagFormat[],
  triggers: readonly string[],
  { parallel }: Pick<GrammarOptions, 'parallel'>,
): AnswerFormat => ({ type: 'triggered_tags', triggers, tags, at_least_one: false, stop_after_first: !parallel });
