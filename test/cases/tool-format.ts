/** What every tool format promises; runs over all of them, with the samples of `tool-samples.ts`. */
import { describe, expect, test } from 'vitest';
import { TOOL_FORMATS, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { type AnswerPiece, inTokens, type ParsedAnswer, parseAnswer } from '../support/parse-answer.ts';
import { type Said, TOOL_SAMPLES, TOOLS, type ToolSample } from './tool-samples.ts';

/** Without the tags that are control tokens, which no text shows. */
const shown = (format: ToolFormatName, text: string): string =>
  TOOL_FORMATS[format].tags.reduce((rest, tag) => rest.replaceAll(tag, ''), text);

const outcome = ({ said, reasoning, numWarnings }: ParsedAnswer) => ({ said, reasoning, numWarnings });

const expectedItem = (item: Said) => {
  if (typeof item === 'string') return item;
  return 'broken' in item
    ? { arguments: item.broken, isWhole: false }
    : { name: item[0], given: item[1], isWhole: true };
};

const foundItem = (item: ParsedAnswer['said'][number]) => {
  if (typeof item === 'string') return item;
  if (!item.isWhole) return { arguments: item.arguments, isWhole: false };
  return { name: item.name, given: JSON.parse(item.arguments) as unknown, isWhole: true };
};

const check = (format: ToolFormatName, sample: ToolSample, answer: ParsedAnswer, hidesTags: boolean): void => {
  const { said, reasoning = '', numWarnings = 0 } = sample;
  const expected = said.map(expectedItem).map((item) => {
    return typeof item === 'string' && hidesTags ? shown(format, item) : item;
  });
  expect({ said: answer.said.map(foundItem), reasoning: answer.reasoning, numWarnings: answer.numWarnings }).toEqual({
    said: expected,
    reasoning,
    numWarnings,
  });
  expect(answer.numCalls).toBe(said.filter((item) => Array.isArray(item)).length);
};

/** Every way to cut the pieces in two, with text on either side joined. */
const everyCut = (pieces: readonly AnswerPiece[]): AnswerPiece[][] => {
  const join = (part: readonly AnswerPiece[]): AnswerPiece[] => {
    const joined: AnswerPiece[] = [];
    for (const piece of part) {
      const last = joined.at(-1);
      if (typeof piece === 'string' && typeof last === 'string') joined[joined.length - 1] = last + piece;
      else joined.push(piece);
    }
    return joined;
  };
  return Array.from({ length: pieces.length + 1 }, (_, cut) => [
    ...join(pieces.slice(0, cut)),
    ...join(pieces.slice(cut)),
  ]);
};

export const toolFormatCases = (format: ToolFormatName): void => {
  describe(format, () => {
    // Harmony's tags are tokens or nothing.
    const isText = format !== 'harmony';

    test.each(TOOL_SAMPLES[format])('reads $title, however it is cut', (sample) => {
      const more = { isCut: sample.isCut ?? false };
      const tokens = inTokens(format, sample.output);
      const whole = parseAnswer(format, TOOLS, tokens, more);
      check(format, sample, whole, true);
      for (const pieces of everyCut(tokens)) {
        expect(outcome(parseAnswer(format, TOOLS, pieces, more))).toEqual(outcome(whole));
      }
      if (!isText) return;
      const characters = [...sample.output];
      const spelled = parseAnswer(format, TOOLS, characters, more);
      check(format, sample, spelled, false);
      for (const pieces of everyCut(characters)) {
        expect(outcome(parseAnswer(format, TOOLS, pieces, more))).toEqual(outcome(spelled));
      }
    });
  });
};
