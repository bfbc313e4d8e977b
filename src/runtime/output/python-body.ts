/** A call written in Python, `name(key="value")`. It is said when it is whole: before, its JSON is not known. */
import type { CallBody, CallFault } from './call-body.ts';
import type { JsonStep } from './json-scanner.ts';
import { readPythonArguments } from './python-literal.ts';
import type { ToolCalls } from './tool-calls.ts';

/** Longer calls are none: each of their characters is held back. */
const MAX_LENGTH = 262_144;
/** More than Python's own: tools have names that it does not know. */
const NAME = /^[\p{L}\p{N}\p{Cs}_.:/-]*$/u;

export class PythonBody implements CallBody {
  readonly #calls: ToolCalls;
  #name = '';
  #text = '';
  #hasOpened = false;
  #depth = 0;
  /** The quotes that end the string at hand. */
  #quote = '';
  /** Quotes that stand here without anything between them. */
  #numQuotes = 0;
  #lastQuote = '';
  #isEscaped = false;
  #fault: CallFault = { reason: 'it ends early', isCall: false };
  readonly rest = '';
  readonly isWhole = false;

  constructor(calls: ToolCalls) {
    this.#calls = calls;
  }

  get fault(): CallFault {
    return this.#fault;
  }

  /** Nothing is said of it before it is whole. */
  breaksWith(): boolean {
    return false;
  }

  push(character: string): JsonStep {
    if (!this.#hasOpened) return this.#inName(character);
    if (this.#quote === '' && this.#depth === 0 && character === ')') return this.#end();
    this.#text += character;
    if (this.#text.length > MAX_LENGTH) return this.#fail('it is too long', true);
    if (this.#quote !== '') this.#inString(character);
    else if (character === '"' || character === "'") this.#openString(character);
    else this.#outside(character);
    return 'inside';
  }

  #outside(character: string): void {
    this.#numQuotes = 0;
    if ('([{'.includes(character)) this.#depth++;
    else if (')]}'.includes(character)) this.#depth--;
  }

  #inName(character: string): JsonStep {
    if (character !== '(') {
      this.#name += character;
      return NAME.test(this.#name) && this.#name.length < 256 ? 'inside' : this.#fail('it is no call', false);
    }
    if (!this.#calls.tool(this.#name)) return this.#fail(`there is no tool ${JSON.stringify(this.#name)}`, false);
    this.#hasOpened = true;
    return 'inside';
  }

  /** Of three quotes the first two look like an empty string. */
  #openString(quote: string): void {
    const isThird = this.#numQuotes === 2 && this.#lastQuote === quote;
    this.#quote = isThird ? quote.repeat(3) : quote;
    this.#numQuotes = isThird ? 0 : 1;
    this.#lastQuote = quote;
  }

  #inString(character: string): void {
    const isQuote = !this.#isEscaped && character === this.#quote[0];
    this.#isEscaped = !this.#isEscaped && character === '\\';
    const isEmpty = this.#quote.length === 1 && this.#numQuotes === 1;
    this.#numQuotes = isQuote ? this.#numQuotes + 1 : 0;
    if (!isQuote || (this.#quote.length === 3 && this.#numQuotes < 3)) return;
    this.#quote = '';
    this.#numQuotes = isEmpty ? 2 : 0;
  }

  #end(): JsonStep {
    const given = readPythonArguments(this.#text);
    if (given === undefined) return this.#fail('its arguments cannot be read', true);
    const properties = Object(this.#calls.tool(this.#name)?.parameters).properties;
    const names = Object.keys(Object(properties));
    const placed = names.slice(0, given.positional.length);
    if (placed.length < given.positional.length || placed.some((name) => given.named.has(name))) {
      return this.#fail('its arguments are not those of the tool', true);
    }
    const all = [...given.positional.map((value, index) => [names[index]!, value] as const), ...given.named];
    this.#calls.start(this.#name);
    this.#calls.arguments(JSON.stringify(Object.fromEntries(all)));
    return 'end';
  }

  #fail(reason: string, isCall: boolean): JsonStep {
    this.#fault = { reason, isCall };
    return 'error';
  }
}
