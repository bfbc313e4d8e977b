/** A tool loop as gpt-oss says it: thoughts, a word to the user, a call; then thoughts and the answer. */
import { clientScript, pieces, QUESTION, type ToolLoop } from './scripts.ts';

const SPECIAL_TOKENS = {
  '<|return|>': 200002,
  '<|constrain|>': 200003,
  '<|channel|>': 200005,
  '<|start|>': 200006,
  '<|end|>': 200007,
  '<|message|>': 200008,
  '<|call|>': 200012,
};

type Token = string | { readonly special: keyof typeof SPECIAL_TOKENS };

const special = (text: keyof typeof SPECIAL_TOKENS): Token => ({ special: text });
const message = (channel: string, text: string): Token[] => [
  special('<|channel|>'),
  channel,
  special('<|message|>'),
  ...pieces(text),
];
const next: readonly Token[] = [special('<|end|>'), special('<|start|>'), 'assistant'];

export const harmonyLoop = (secret: string, name: string, parameters: object): ToolLoop => {
  const answer = `The file says ${secret}.`;
  const call: Token[] = [
    special('<|channel|>'),
    `commentary to=functions.${name} `,
    special('<|constrain|>'),
    'json',
    special('<|message|>'),
    ...JSON.stringify(parameters),
    special('<|call|>'),
  ];
  const asking = [...message('analysis', 'I must look.'), ...next, ...message('commentary', 'I will look.'), ...next];
  const replies = [
    { when: secret, tokens: [...message('analysis', 'Now I know.'), ...next, ...message('final', answer)] },
    { when: QUESTION, tokens: [...asking, ...call] },
    { tokens: message('final', 'The tool gave nothing.') },
  ];
  const formats = { toolFormat: 'harmony', reasoningFormat: 'harmony', specialTokens: SPECIAL_TOKENS };
  return { answer, script: clientScript(replies as never, formats) };
};
