/** A call's arguments between the JSON text that dialects carry and the object that they mean. */

type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

/**
 * The arguments of a call in a conversation's history. What a model once wrote, and no client can take back, must not
 * end the conversation: text that is no JSON object stays visible as the argument `malformed_arguments`.
 */
export const earlierArguments = (given: unknown): JsonObject => {
  if (isObject(given)) return given;
  if (given === undefined || given === null || given === '') return {};
  const value = typeof given === 'string' ? parsed(given) : given;
  return isObject(value) ? value : { malformed_arguments: given };
};

/** The arguments of a call just made. Where the answer met a limit inside them, the members that are whole. */
export const answeredArguments = (text: string): JsonObject => {
  const value = parsed(text) ?? parsed(closed(text));
  return isObject(value) ? value : {};
};

/** JSON text cut off somewhere, cut back to its last whole value and closed. */
const closed = (text: string): string => {
  let closers = '';
  let whole = { end: 0, closers };
  let isInString = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (isInString) {
      if (character === '\\') index++;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === ',') whole = { end: index, closers };
    else if ('{[}]'.includes(character)) {
      if (character === '{') closers = `}${closers}`;
      else if (character === '[') closers = `]${closers}`;
      else closers = closers.slice(1);
      whole = { end: index + 1, closers };
    }
  }
  return text.slice(0, whole.end) + whole.closers;
};
