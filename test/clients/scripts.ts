/** What the scripted model says to clients that have tools. */
import type { Script } from '../support/serve.ts';

/** As clients with long prompts want it: one token a byte. */
const CONTEXT_LENGTH = 400_000;

export const QUESTION = 'What is in notes.txt';

export interface ToolLoop {
  readonly script: Script;
  /** What the model says in the end. */
  readonly answer: string;
}

/** Text in pieces, as a model makes it. */
export const pieces = (text: string): string[] => text.match(/.{1,7}/gs) ?? [];

/** JSON as a model says it whose grammar fills in what has no choice: then every token is one character. */
export const jsonTokens = (value: unknown): string[] => [...JSON.stringify(value)];

/** One character a token, too: where a tool is strict, its grammar fills in what has no choice. */
const hermesCall = (name: string, parameters: object): string[] => [
  ...`<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${JSON.stringify(parameters)}}\n</tool_call>`,
];

/** Calls a tool when it is asked `QUESTION`, and answers as soon as the last thing it is told has the secret in it. */
export const toolLoop = (secret: string, name: string, parameters: object, preamble = 'I will look. '): ToolLoop => {
  const answer = `The file says ${secret}.`;
  const replies = [
    { when: secret, tokens: pieces(answer) },
    { when: QUESTION, tokens: [...pieces(preamble), ...hermesCall(name, parameters)] },
    { tokens: ['The tool gave nothing.'] },
  ];
  return { answer, script: clientScript(replies, { toolFormat: 'hermes' }) };
};

/** Calls a tool several times in one answer. */
export const parallelLoop = (secrets: readonly string[], name: string, calls: readonly object[]): ToolLoop => {
  const answer = `The files say ${secrets.join(' and ')}.`;
  const replies = [
    // What is looked at is the last of the results.
    { when: secrets.at(-1)!, tokens: pieces(answer) },
    { when: QUESTION, tokens: calls.flatMap((parameters) => [...hermesCall(name, parameters), '\n']) },
    { tokens: ['The tools gave nothing.'] },
  ];
  return { answer, script: clientScript(replies, { toolFormat: 'hermes' }) };
};

export const clientScript = (replies: Script['replies'], more: object = {}): Script =>
  ({ contextLength: CONTEXT_LENGTH, replies, ...more }) as Script;
