/** Reads calls as Qwen3-Coder writes them, and makes JSON of their parameters as they come. */
import type { ToolDefinition } from '../api.ts';
import { type JsonType, parameterTypes, typeOf } from './schema-types.ts';
import type { ToolCalls } from './tool-calls.ts';
import { TagFinder, type ToolReader } from './tool-reader.ts';

const CALL = '<tool_call>';
const CALL_END = '</tool_call>';
const FUNCTION = '<function=';
const FUNCTION_END = '</function>';
const PARAMETER = '<parameter=';
const PARAMETER_END = '</parameter>';

/** What must follow a parameter's end for it to be one: a value may have the tag in it. */
const AFTER_PARAMETER = [PARAMETER, FUNCTION_END, CALL_END];
/** What ends the last value where a model forgets its closing tag: at the answer's end, or with the next call. */
const FORGOTTEN_END = [FUNCTION_END, CALL_END, CALL];
const MAX_NAME = 256;
/** More white space than this between two tags is a value's. */
const MAX_GAP = 256;

/**
 * text → wrapped (after `<tool_call>`) → name (after `<function=`) → parameters (between them) → key (after
 * `<parameter=`) → value → … → ended (after `</function>`).
 */
type Place = 'text' | 'wrapped' | 'name' | 'parameters' | 'key' | 'value' | 'ended';

export class XmlCallReader implements ToolReader {
  readonly #calls: ToolCalls;
  readonly #finder = new TagFinder([CALL, FUNCTION]);
  #place: Place = 'text';
  /** What the model wrote of the call so far. */
  #whole = '';
  /** A tag, a name or a key as far as it has come; of a value, what may be its end. */
  #part = '';
  /** White space before a tag, without end. */
  #gap = '';
  #tool: ToolDefinition | undefined;
  #numParameters = 0;
  #types: ReadonlySet<JsonType> | undefined;
  /** A value that is no plain string, as far as it has come. */
  #value = '';
  #isStreamed = false;
  #isValueStart = false;

  constructor(calls: ToolCalls) {
    this.#calls = calls;
  }

  push(piece: string): void {
    for (let index = 0; index < piece.length; index++) this.#read(piece[index]!);
  }

  /** Values are text: there is little to break. */
  breaksWith(): boolean {
    return false;
  }

  end(isCut: boolean): void {
    const place = this.#place;
    this.#place = 'text';
    if (place === 'text') this.#calls.text(this.#finder.flush());
    else if (place === 'ended') return;
    else if (isCut && this.#calls.isOpen) return;
    else if (place === 'parameters' && this.#mayEnd()) this.#endCall();
    else if (place === 'value' && /^\n?<\/(parameter|function)>/.test(this.#part)) {
      this.#endValue();
      this.#endCall();
    } else this.#giveUp('it ends early');
  }

  #read(character: string): void {
    if (this.#place === 'text') this.#inText(character);
    else if (this.#place === 'name' || this.#place === 'key') this.#inName(character);
    else if (this.#place === 'value') this.#inValue(character);
    else this.#betweenTags(character);
  }

  #inText(character: string): void {
    const { text, tag } = this.#finder.push(character);
    this.#calls.text(text);
    if (tag === undefined) return;
    this.#whole = tag;
    this.#goTo(tag === CALL ? 'wrapped' : 'name');
  }

  /** White space, then one of the tags that may come here. */
  #betweenTags(character: string): void {
    if (this.#part === '' && character.trim() === '') {
      this.#whole += character;
      this.#gap += character;
      return;
    }
    const part = this.#part + character;
    const tags = this.#expectedTags();
    const tag = tags.find((candidate) => candidate.startsWith(part));
    if (tag === undefined) {
      if (this.#place === 'ended') this.#leave(this.#gap + this.#part, character);
      else this.#giveUp(`${tags[0]} does not follow`, character);
      return;
    }
    this.#whole += character;
    this.#part = part;
    if (part === tag) this.#takeTag(tag);
  }

  #expectedTags(): readonly string[] {
    if (this.#place === 'wrapped') return [FUNCTION];
    return this.#place === 'parameters' ? AFTER_PARAMETER : [CALL_END, FUNCTION];
  }

  #takeTag(tag: string): void {
    if (tag === PARAMETER) this.#goTo('key');
    else if (tag === FUNCTION) {
      // The next call begins; what it is made of is told from here on.
      if (this.#place === 'ended') this.#whole = tag;
      this.#goTo('name');
    } else if (tag === CALL_END && this.#place === 'ended') this.#leave('');
    else {
      this.#endCall();
      if (tag === CALL_END) this.#leave('');
    }
  }

  #inName(character: string): void {
    if (character !== '>' && (character === '\n' || character === '<' || this.#part.length >= MAX_NAME)) {
      this.#giveUp('a tag is not closed', character);
      return;
    }
    this.#whole += character;
    if (character !== '>') {
      this.#part += character;
      return;
    }
    if (this.#place === 'key') this.#beginValue(this.#part.trim());
    else this.#beginCall(this.#part.trim());
  }

  #beginCall(name: string): void {
    this.#tool = this.#calls.tool(name);
    if (!this.#tool) {
      this.#giveUp(`there is no tool ${JSON.stringify(name)}`);
      return;
    }
    this.#numParameters = 0;
    this.#calls.start(name);
    this.#goTo('parameters');
  }

  #beginValue(key: string): void {
    this.#calls.arguments(`${this.#numParameters++ === 0 ? '{' : ', '}${JSON.stringify(key)}: `);
    this.#types = parameterTypes(this.#tool!, key);
    this.#isStreamed = this.#types?.size === 1 && this.#types.has('string');
    if (this.#isStreamed) this.#calls.arguments('"');
    this.#value = '';
    this.#isValueStart = true;
    this.#goTo('value');
  }

  #inValue(character: string): void {
    this.#whole += character;
    const isFirst = this.#isValueStart;
    this.#isValueStart = false;
    // One line break after the tag, and one before the next, belong to the tags.
    if (isFirst && character === '\n') return;
    let part = this.#part + character;
    while (part !== '' && !mayEndValue(part)) {
      this.#addToValue(part[0]!);
      part = part.slice(1);
    }
    this.#part = part;
    const isForgotten = forgetsEnd(part);
    const tag = (isForgotten ? [CALL] : AFTER_PARAMETER).find((candidate) => part.endsWith(candidate));
    if (tag === undefined) return;
    this.#endValue();
    this.#place = 'parameters';
    if (isForgotten) {
      this.#endCall();
      this.#leave(CALL);
    } else this.#takeTag(tag);
  }

  #addToValue(character: string): void {
    // Half a surrogate pair would become an escape.
    const isSurrogate = character >= '\ud800' && character <= '\udfff';
    if (this.#isStreamed) this.#calls.arguments(isSurrogate ? character : JSON.stringify(character).slice(1, -1));
    else this.#value += character;
  }

  #endValue(): void {
    this.#calls.arguments(this.#isStreamed ? '"' : typedValue(this.#value, this.#types));
  }

  #mayEnd(): boolean {
    return FUNCTION_END.startsWith(this.#part);
  }

  #endCall(): void {
    this.#calls.arguments(this.#numParameters === 0 ? '{}' : '}');
    this.#calls.end();
    this.#whole = '';
    this.#goTo('ended');
  }

  #leave(text: string, character = ''): void {
    this.#goTo('text');
    // What was held for a closing tag may begin another.
    this.push(text + character);
  }

  #giveUp(reason: string, character = ''): void {
    this.#calls.giveUp(this.#whole, reason);
    this.#leave('', character);
  }

  #goTo(place: Place): void {
    this.#place = place;
    this.#part = '';
    this.#gap = '';
  }
}

/** True while the text may become a parameter's end and what must follow it. */
const mayEndValue = (text: string): boolean => {
  if (forgetsEnd(text)) return true;
  const end = `\n${PARAMETER_END}`;
  if (end.startsWith(text) || PARAMETER_END.startsWith(text)) return true;
  const length = text.startsWith(end) ? end.length : PARAMETER_END.length;
  if (!text.startsWith(end) && !text.startsWith(PARAMETER_END)) return false;
  const rest = afterGap(text, length);
  return AFTER_PARAMETER.some((tag) => tag.startsWith(rest));
};

/** True for a beginning of `FORGOTTEN_END`, behind at most a line break. */
const forgetsEnd = (text: string): boolean => {
  let rest = text.replace(/^\n/, '');
  // A shorter one is a beginning of the parameter's own closing tag, too.
  if (rest.length < 3) return false;
  for (const tag of FORGOTTEN_END) {
    if (!rest.startsWith(tag)) return tag.startsWith(rest);
    rest = afterGap(rest, tag.length);
  }
  return rest === '';
};

/** What follows the white space at a place, as far as that may be between tags. */
const afterGap = (text: string, start: number): string => {
  const end = Math.min(text.length, start + MAX_GAP);
  let index = start;
  while (index < end && text[index]!.trim() === '') index++;
  return text.slice(index);
};

/** The value as JSON: of the schema's types where it can be read so, else a string. */
const typedValue = (text: string, types: ReadonlySet<JsonType> | undefined): string => {
  const trimmed = text.trim();
  const json = { True: 'true', False: 'false', None: 'null' }[trimmed] ?? trimmed;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return JSON.stringify(text);
  }
  const type = typeOf(value);
  const isWanted = types === undefined || types.has(type) || (type === 'integer' && types.has('number'));
  return isWanted && !(types === undefined && type === 'string') ? json : JSON.stringify(text);
};
