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
  '<|return|>',
  '</s>',
]);

/** Some files call these control tokens; they are text that the output parser reads. */
const TAGS = new Set(['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']);

export const endsTurn = (token: string): boolean => TURN_ENDS.has(token);
export const isTag = (token: string): boolean => TAGS.has(token);
