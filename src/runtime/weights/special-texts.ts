/** What the texts of added tokens say about them, where files do not. */

/** Control tokens that end a turn in the chat formats of known models, whatever the file's EOS is. */
const TURN_ENDS = new Set([
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|end_of_turn|>',
  '<end_of_turn>',
  '</s>',
]);

/** In gpt-oss's vocabulary `<|end|>` ends a message, after which others follow; these end the turn. */
const HARMONY_ENDS = ['<|return|>', '<|call|>'];
const HARMONY_MESSAGE_END = '<|end|>';

/** Some files call these control tokens; they are text that the output parser reads. */
const TAGS = new Set(['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']);

/** @param tokens the vocabulary. @returns whether one of its control tokens ends a turn; undefined: it does not say */
export const turnEndsOf = (tokens: readonly string[]): ((token: string) => boolean | undefined) => {
  if (!HARMONY_ENDS.every((end) => tokens.includes(end))) return (token) => TURN_ENDS.has(token) || undefined;
  return (token) => {
    if (token === HARMONY_MESSAGE_END) return false;
    return TURN_ENDS.has(token) || HARMONY_ENDS.includes(token) || undefined;
  };
};
export const isTag = (token: string): boolean => TAGS.has(token);
