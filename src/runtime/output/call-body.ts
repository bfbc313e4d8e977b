/** What a tool format reads between its tags: one call. */
import { JsonScanner, type JsonStep } from './json-scanner.ts';
import type { ToolCalls } from './tool-calls.ts';

/** What a body says, and to whom it listens. */
export type CallSink = Pick<ToolCalls, 'tool' | 'start' | 'arguments'>;

/** Why text is no call. */
export interface CallFault {
  readonly reason: string;
  /** It has a call's parts: more than other text that begins like one. */
  readonly isCall: boolean;
}

/** Takes a call character by character, and says it to `ToolCalls`; its end is said by whoever knows the tags. */
export interface CallBody {
  push(character: string): JsonStep;
  /** After the step `error`. */
  readonly fault: CallFault;
  /** The call could end here. */
  readonly isWhole: boolean;
  /** Said by the model within the call, but no part of it: text. */
  readonly rest: string;
  /** Whether with this text the call, of which something may have been said, would be none. */
  breaksWith(text: string): boolean;
}

/** Listens to nobody, and says nothing. */
const muted = (calls: CallSink): CallSink => ({
  tool: (name) => calls.tool(name),
  start: () => {},
  arguments: () => {},
});

const fails = (trial: CallBody, text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    const step = trial.push(text[index]!);
    if (step !== 'inside') return step === 'error';
  }
  return false;
};

const NOT_JSON: CallFault = { reason: 'its arguments are no JSON object', isCall: true };
const TRUNCATED: CallFault = { reason: 'it ends early', isCall: false };

/** The arguments of a call whose name stood elsewhere: a JSON object. */
export class ArgumentsBody implements CallBody {
  readonly #calls: CallSink;
  #scanner = new JsonScanner();
  #hasBegun = false;
  #isWhole = false;
  readonly rest = '';

  constructor(calls: CallSink) {
    this.#calls = calls;
  }

  breaksWith(text: string): boolean {
    const trial = new ArgumentsBody(muted(this.#calls));
    trial.#scanner = new JsonScanner(this.#scanner);
    trial.#hasBegun = this.#hasBegun;
    return fails(trial, text);
  }

  get fault(): CallFault {
    return NOT_JSON;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  push(character: string): JsonStep {
    if (!this.#hasBegun) {
      if (character.trim() === '') return 'inside';
      if (character !== '{') return 'error';
      this.#hasBegun = true;
    }
    const step = this.#scanner.push(character);
    this.#calls.arguments(this.#scanner.take());
    this.#isWhole = step === 'end';
    return step;
  }
}

type Place = 'before' | 'key' | 'in key' | 'colon' | 'value' | 'in value' | 'arguments' | 'comma';

const NAMES = new Set(['name', 'function', 'tool_name']);
const ARGUMENTS = new Set(['arguments', 'parameters', 'args']);
/** Say nothing that a client needs. */
const SILENT = new Set(['id', 'type', 'index', 'call_id', 'tool_call_id']);

const KNOWN = new Set([...NAMES, ...ARGUMENTS, ...SILENT]);

/**
 * A call as one object: `{"name": …, "arguments": {…}}`, with its keys in any order, `parameters` for `arguments`, the
 * arguments as JSON in a string, or the whole in `{"type": "function", "function": {…}}`.
 */
export class ObjectBody implements CallBody {
  readonly #calls: CallSink;
  /** Other keys than a call's are no call. */
  readonly #isStrict: boolean;
  #place: Place = 'before';
  #depth = 0;
  #scanner = new JsonScanner();
  #key = '';
  #value = '';
  #name: string | undefined;
  /** Arguments that came before the name. */
  #early = '';
  #hasArguments = false;
  #hasAllArguments = false;
  #isAnnounced = false;
  #fault = TRUNCATED;
  /** Keys that belong to no call. */
  #others = '';
  /** What was written since the last key with its value. */
  #tail = '';

  constructor(calls: CallSink, isStrict: boolean) {
    this.#calls = calls;
    this.#isStrict = isStrict;
  }

  breaksWith(text: string): boolean {
    const trial = new ObjectBody(muted(this.#calls), this.#isStrict);
    trial.#place = this.#place;
    trial.#depth = this.#depth;
    trial.#scanner = new JsonScanner(this.#scanner);
    trial.#key = this.#key;
    trial.#value = this.#value;
    trial.#name = this.#name;
    trial.#hasArguments = this.#hasArguments;
    trial.#hasAllArguments = this.#hasAllArguments;
    trial.#isAnnounced = this.#isAnnounced;
    return fails(trial, text);
  }

  get fault(): CallFault {
    return this.#fault;
  }

  get isWhole(): boolean {
    return this.#isAnnounced && this.#hasAllArguments;
  }

  get rest(): string {
    const tail = /[^\s,]/.test(this.#tail) ? this.#tail : '';
    return this.#others + tail;
  }

  push(character: string): JsonStep {
    const step = this.#read(character);
    if (step === 'end' || this.#place === 'comma') this.#tail = '';
    else if (step === 'inside') this.#tail += character;
    // The arguments are all there: what else goes wrong does not undo the call.
    return step === 'error' && this.isWhole ? 'past' : step;
  }

  #read(character: string): JsonStep {
    const place = this.#place;
    if (place === 'in key') return this.#inKey(character);
    if (place === 'in value') return this.#inValue(character);
    if (place === 'arguments') return this.#inArguments(character);
    if (character.trim() === '') return 'inside';
    if (place === 'before') return character === '{' ? this.#enter() : this.#fail('it is no JSON object');
    if (place === 'key') return this.#beginKey(character);
    if (place === 'colon') return character === ':' ? this.#goTo('value') : this.#fail('it is no JSON');
    return place === 'value' ? this.#beginValue(character) : this.#afterValue(character);
  }

  #enter(): JsonStep {
    this.#depth++;
    return this.#goTo('key');
  }

  #beginKey(character: string): JsonStep {
    if (character === '}') return this.#leave();
    if (character !== '"') return this.#fail('it is no JSON');
    this.#scanner = new JsonScanner();
    this.#scanner.push(character);
    return this.#goTo('in key');
  }

  #inKey(character: string): JsonStep {
    const step = this.#scanner.push(character);
    if (step === 'error') return this.#fail('it is no JSON');
    if (step !== 'end') return 'inside';
    this.#key = String(JSON.parse(this.#scanner.take()));
    if (this.#isStrict && !KNOWN.has(this.#key)) return this.#fail('it has other keys than a call');
    return this.#goTo('colon');
  }

  #beginValue(character: string): JsonStep {
    if (this.#key === 'function' && character === '{' && this.#depth === 1) return this.#enter();
    this.#scanner = new JsonScanner();
    this.#value = '';
    if (!ARGUMENTS.has(this.#key) || this.#hasArguments) {
      this.#place = 'in value';
      return this.#inValue(character);
    }
    const refusal = this.#unknownName();
    if (refusal !== undefined) return this.#fail(refusal, true);
    this.#hasArguments = true;
    this.#announce();
    this.#place = character === '{' ? 'arguments' : 'in value';
    return character === '{' ? this.#inArguments(character) : this.#inValue(character);
  }

  #inArguments(character: string): JsonStep {
    const step = this.#scanner.push(character);
    this.#say(this.#scanner.take());
    if (step === 'error') return this.#fail(NOT_JSON.reason, true);
    if (step === 'end') this.#endArguments();
    return 'inside';
  }

  #inValue(character: string): JsonStep {
    const step = this.#scanner.push(character);
    this.#value += this.#scanner.take();
    if (step === 'error') return this.#fail('it is no JSON', this.#hasArguments);
    if (step === 'inside') return 'inside';
    this.#place = 'comma';
    const fault = this.#takeValue();
    if (fault) return fault;
    return step === 'past' ? this.#read(character) : 'inside';
  }

  /** A value is complete that is not passed on while it is made. */
  #takeValue(): JsonStep | undefined {
    const value: unknown = JSON.parse(this.#value);
    if (ARGUMENTS.has(this.#key) && !this.#hasAllArguments) return this.#takeArguments(value);
    if (NAMES.has(this.#key) && this.#name === undefined) {
      if (typeof value !== 'string' || value === '') return this.#fail('its name is no text');
      this.#name = value;
      const refusal = this.#unknownName();
      if (refusal !== undefined && this.#hasArguments) return this.#fail(refusal, true);
      if (refusal === undefined && (this.#hasArguments || !this.#isStrict)) this.#announce();
    } else if (!SILENT.has(this.#key)) {
      this.#others += `${this.#others === '' ? '' : ', '}${JSON.stringify(this.#key)}: ${this.#value}`;
    }
    return undefined;
  }

  /** Arguments that are not an object as they stand. */
  #takeArguments(value: unknown): JsonStep | undefined {
    const isEmpty = value === null || (typeof value === 'string' && value.trim() === '');
    const text = isEmpty ? '{}' : value;
    if (typeof text !== 'string' || !isObjectText(text)) return this.#fail(NOT_JSON.reason, true);
    this.#say(text);
    this.#endArguments();
    return undefined;
  }

  #endArguments(): void {
    this.#place = 'comma';
    this.#hasAllArguments = true;
  }

  #afterValue(character: string): JsonStep {
    if (character === ',') return this.#goTo('key');
    if (character === '}') return this.#leave();
    return this.#fail('it is no JSON');
  }

  #leave(): JsonStep {
    if (--this.#depth > 0) return this.#goTo('comma');
    if (this.#name === undefined) return this.#fail('it has no name', this.#hasArguments);
    const refusal = this.#unknownName();
    if (refusal !== undefined) return this.#fail(refusal, this.#hasArguments);
    if (this.#isStrict && !this.#hasArguments) return this.#fail('it has no arguments');
    this.#announce();
    if (!this.#hasArguments) this.#say('{}');
    this.#hasAllArguments = true;
    return 'end';
  }

  #unknownName(): string | undefined {
    if (this.#name === undefined || this.#calls.tool(this.#name)) return undefined;
    return `there is no tool ${JSON.stringify(this.#name.slice(0, 64))}`;
  }

  #announce(): void {
    if (this.#isAnnounced || this.#name === undefined) return;
    this.#isAnnounced = true;
    this.#calls.start(this.#name);
    this.#calls.arguments(this.#early);
    this.#early = '';
  }

  #say(text: string): void {
    if (this.#isAnnounced) this.#calls.arguments(text);
    else this.#early += text;
  }

  #goTo(place: Place): JsonStep {
    this.#place = place;
    return 'inside';
  }

  #fail(reason: string, isCall = false): JsonStep {
    this.#fault = { reason, isCall: isCall || this.#isAnnounced };
    return 'error';
  }
}

const isObjectText = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
};
