/**
 * Whatever a model says in whatever form: Anthropic's stream keeps its rules, and says what the whole answer says. The
 * bugs of other bridges that this rules out: a delta for a block that is not there (litellm#13373, ollama#17101), of
 * another kind than its block (litellm#33224, sglang#26795), arguments that get lost (litellm#25321, #29491,
 * mlx-serve#287), calls that end a turn as if it were text (LocalAI#6218, gcli2api#403).
 */
import { describe, expect, test } from 'vitest';
import { TOOL_FORMAT_NAMES, TOOL_FORMATS, type ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { answeredArguments } from '../../src/server/dialects/call-arguments.ts';
import { TOOL_SAMPLES, TOOLS } from '../cases/tool-samples.ts';
import { readMessageStream, type StreamedBlock } from '../support/message-stream.ts';
import { inTokens } from '../support/parse-answer.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';

const FIRST_TAG_ID = 300;
const PIECE_LENGTH = 3;

/** The tokens of an answer: tags are tokens of their own where the format has such. */
const tokensOf = (format: ToolFormatName, output: string): Script['replies'][number]['tokens'] => {
  const tokens: (string | { special: string })[] = [];
  for (const piece of inTokens(format, output)) {
    const last = tokens.at(-1);
    if (typeof piece !== 'string') tokens.push({ special: piece.tag });
    else if (typeof last === 'string' && last.length < PIECE_LENGTH) tokens[tokens.length - 1] = last + piece;
    else tokens.push(piece);
  }
  return tokens;
};

const scriptOf = (format: ToolFormatName): Script => ({
  toolFormat: format,
  reasoningFormat: format === 'harmony' ? 'harmony' : 'none',
  specialTokens: Object.fromEntries(TOOL_FORMATS[format].tags.map((tag, index) => [tag, FIRST_TAG_ID + index])),
  replies: TOOL_SAMPLES[format].map(({ output }, index) => ({
    when: `^sample ${index}$`,
    tokens: tokensOf(format, output),
  })),
});

interface Message {
  readonly content: readonly (StreamedBlock & { readonly input?: object })[];
  readonly stop_reason: string;
  readonly usage: { readonly output_tokens: number };
  readonly warnings?: readonly object[];
}

/** Ids and signatures differ from one answer to the next. */
const saidBy = ({ type, text, thinking, name }: StreamedBlock, input: object | undefined) =>
  type === 'tool_use' ? { name, input } : { type, said: text ?? thinking };

describe.each(TOOL_FORMAT_NAMES)('%s', (format) => {
  test.each(TOOL_SAMPLES[format].map(({ title }, index) => [title, index] as const))('%s', async (_title, index) => {
    const { url } = await serve(scriptOf(format));
    for (const max_tokens of [4000, 9]) {
      const body = {
        model: 'scripted',
        max_tokens,
        messages: [{ role: 'user', content: `sample ${index}` }],
        tools: TOOLS.map(({ name, parameters }) => ({ name, input_schema: parameters ?? { type: 'object' } })),
      };
      const whole = (await post(`${url}/v1/messages`, body)).body as Message;
      const answer = await fetch(`${url}/v1/messages`, {
        method: 'POST',
        body: JSON.stringify({ ...body, stream: true }),
      });
      const streamed = readMessageStream(parseSse(await answer.text()));
      const { output_tokens } = whole.usage;
      expect(streamed).toMatchObject({ stop_reason: whole.stop_reason, usage: { output_tokens } });
      const calls = whole.content.filter(({ type }) => type === 'tool_use');
      if (whole.stop_reason !== 'max_tokens')
        expect(whole.stop_reason).toBe(calls.length > 0 ? 'tool_use' : 'end_turn');
      // A call that is given up has left the server before that is known.
      if (whole.warnings !== undefined) continue;
      expect(streamed.content.map((block) => saidBy(block, answeredArguments(block.json ?? '')))).toEqual(
        whole.content.map((block) => saidBy(block, block.input)),
      );
    }
  });
});
