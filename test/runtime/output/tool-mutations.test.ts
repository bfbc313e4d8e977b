/** Answers that went wrong: nothing throws, nothing that was said is lost, and what is a call is a whole one. */
import { expect, test } from 'vitest';
import {
  TOOL_FORMAT_NAMES,
  TOOL_FORMATS,
  type ToolFormatName,
} from '../../../src/runtime/output/tool-formats/index.ts';
import { TOOL_SAMPLES, TOOLS } from '../../cases/tool-samples.ts';
import { type AnswerPiece, inTokens, type ParsedAnswer, parseAnswer } from '../../support/parse-answer.ts';

const NUM_MUTATIONS = 10_000;

/** Random numbers that are the same in every run. Source: mulberry32. */
const randomFrom = (seed: number): ((limit: number) => number) => {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
};
type Random = ReturnType<typeof randomFrom>;

const SPELLED_TAGS = [
  '<tool_call>',
  '</tool_call>',
  '<function=',
  '</function>',
  '<parameter=',
  '</parameter>',
  '```tool_code',
  '```json',
  '```',
  'functools',
];
const tagsOf = (format: ToolFormatName): readonly string[] => [...TOOL_FORMATS[format].tags, ...SPELLED_TAGS];
const NOISE = ['{', '}', '[', ']', '"', ',', ':', '\\', '\n', ' ', 'null', '{"name": "', '"arguments": {', 'é🚀', '0'];

const mutate = (format: ToolFormatName, random: Random): string => {
  const samples = TOOL_SAMPLES[format];
  const pick = <Item>(list: readonly Item[]): Item => list[random(list.length)]!;
  let output = pick(samples).output;
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(output.length + 1);
    const to = Math.min(output.length, at + 1 + random(12));
    const kind = random(6);
    if (kind === 0) output = output.slice(0, at);
    else if (kind === 1) output = output.slice(0, at) + output.slice(to);
    else if (kind === 2) output = output.slice(0, to) + output.slice(at);
    else if (kind === 3) output = output.slice(0, at) + pick(tagsOf(format)) + output.slice(at);
    else if (kind === 4) output = output.slice(0, at) + pick(NOISE) + output.slice(at);
    else output = output.slice(0, at) + pick(samples).output;
  }
  return output.toWellFormed();
};

const ENVELOPE = /"(name|function|tool_name|arguments|parameters|args)"/g;
/** Keys of a call that clients have no use for, with what they say. */
const SILENT = /"(id|type|index|call_id|tool_call_id)"\s*:\s*("[^"]*"|[^,}\]]*)/g;
const NO_ARGUMENTS = /"(arguments|parameters|args)"\s*:\s*null/g;
const TAG = '<\\|(?:start|channel|constrain|message|end|call|return)\\|>';
const HEAD = new RegExp(`(?:^|${TAG})(?:(?!${TAG})[^])+(?=<\\|(?:message|channel|constrain)\\|>)`, 'g');
const CUT_ROLE = /<\|start\|>\s*\w*(\s+(t|to|to=\S*))?\s*(?=<\||$)/g;
const HEAD_WORDS = /to=[^\s<]+|assistant|analysis|commentary|final|json|code/g;

/** Letters of the answer that belong to no tag. */
const saidLetters = (format: ToolFormatName, output: string): string => {
  let rest = output;
  if (format === 'harmony') rest = rest.replace(HEAD, '').replace(CUT_ROLE, '').replace(HEAD_WORDS, '');
  // Python's name for null.
  if (format === 'gemma' || format === 'llama3') rest = rest.replace(/\bNone\b/g, '');
  if (format === 'mistral') rest = rest.replace(/\[CALL_ID\]\w*/g, '');
  rest = rest.replace(NO_ARGUMENTS, '').replace(ENVELOPE, '').replace(SILENT, '');
  for (const tag of tagsOf(format)) rest = rest.replaceAll(tag, '');
  // A closing tag that the answer's end cuts is a tag still.
  const cut = tagsOf(format).flatMap((tag) => Array.from(tag, (_, length) => tag.slice(0, length + 1)));
  const end = cut.filter((tag) => rest.trimEnd().endsWith(tag)).sort((a, b) => b.length - a.length)[0];
  return end === undefined ? rest : rest.trimEnd().slice(0, -end.length);
};

const letterCounts = (text: string): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const letter of text.toLowerCase().match(/[a-z0-9é🚀]/gu) ?? [])
    counts.set(letter, (counts.get(letter) ?? 0) + 1);
  return counts;
};

const lost = (said: string, given: string): string[] => {
  const available = letterCounts(given);
  return [...letterCounts(said)]
    .filter(([letter, count]) => count > (available.get(letter) ?? 0))
    .map(([letter]) => letter);
};

const cutRandomly = (pieces: readonly AnswerPiece[], random: Random): AnswerPiece[] => {
  const joined: AnswerPiece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (typeof piece === 'string' && typeof last === 'string' && random(4) > 0)
      joined[joined.length - 1] = last + piece;
    else joined.push(piece);
  }
  return joined;
};

const isObjectText = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
};

const spoken = ({ said, reasoning }: ParsedAnswer): string =>
  said.map((item) => (typeof item === 'string' ? item : `${item.name} ${item.arguments}`)).join(' ') + reasoning;

test.each(TOOL_FORMAT_NAMES)('%s loses nothing of answers that went wrong', (format) => {
  const random = randomFrom(TOOL_FORMAT_NAMES.indexOf(format) + 1);
  for (let round = 0; round < NUM_MUTATIONS / TOOL_FORMAT_NAMES.length; round++) {
    const output = mutate(format, random);
    const asTokens = format === 'harmony' || random(2) === 0;
    const pieces: AnswerPiece[] = asTokens ? inTokens(format, output) : [...output];
    const whole = parseAnswer(format, TOOLS, pieces);
    for (const item of whole.said) {
      if (typeof item === 'string') continue;
      expect(TOOLS.map(({ name }) => name)).toContain(item.name);
      expect(isObjectText(item.arguments), `${output}\n→ ${item.arguments}`).toBe(item.isWhole);
    }
    expect(lost(saidLetters(format, output), spoken(whole)), `${output}\n→ ${spoken(whole)}`).toEqual([]);
    const cut = parseAnswer(format, TOOLS, cutRandomly(pieces, random));
    expect({ said: cut.said, reasoning: cut.reasoning, numWarnings: cut.numWarnings }, output).toEqual({
      said: whole.said,
      reasoning: whole.reasoning,
      numWarnings: whole.numWarnings,
    });
  }
});
