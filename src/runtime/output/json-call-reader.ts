/** Reads calls that are JSON: between tags, in a list, or bare. */
import { ArgumentsBody, type CallBody, type CallFault, ObjectBody } from './call-body.ts';
import { withoutMarks } from './control-marks.ts';
import { PythonBody } from './python-body.ts';
import type { ToolCalls } from './tool-calls.ts';
import { TagFinder, type ToolReader } from './tool-reader.ts';

export interface JsonCallSyntax {
  /** Tags that a call, or a list of calls, follows. No tag begins another. */
  readonly openers: readonly string[];
  /** Tags that may end it. */
  readonly closers: readonly string[];
  /** Openers that other text has too: what is no call after them is text without a warning. */
  readonly quietOpeners?: readonly string[];
  /** Calls may also stand alone at the beginning of a line, without a tag. */
  readonly mayBeBare?: boolean;
  /** Calls may be written in Python, too: `name(key="value")`. */
  readonly mayBePython?: boolean;
  /** After an opener may also stand a name, an id behind a tag, and a tag before the arguments. */
  readonly named?: { readonly idTags: readonly string[]; readonly argumentsTags: readonly string[] };
}

type Place = 'text' | 'opened' | 'name' | 'call' | 'after';

/** Of a header: a name, tags and white space. Half a surrogate pair comes alone. */
const HEADER_CHARACTER = /[\s\p{L}\p{N}\p{Cs}_.:/\-[\]\ufdd0-\ufdef]/u;
/** Of a Python name, and of half a letter beyond the first plane. */
const NAME_START = /[\p{L}\p{Cs}_]/u;
const NAME = /^[\p{L}\p{N}_.:/-]+/u;
const MAX_HEADER = 256;
/** Between two calls, white space around them. */
const SEPARATORS = ',;';

export class JsonCallReader implements ToolReader {
  readonly #calls: ToolCalls;
  readonly #syntax: JsonCallSyntax;
  readonly #finder: TagFinder;
  #place: Place = 'text';
  #body: CallBody | undefined;
  /** What the model wrote of the call so far, with its tag. */
  #whole = '';
  #header = '';
  #isQuiet = false;
  #isList = false;
  /** The calls at hand follow an opener. */
  #isTagged = false;
  /** Only white space stands before this on its line. */
  #isLineStart = true;
  /** After a call: white space without end, perhaps with a separator in it, and then what may be a closer. */
  #gap = '';
  #hasSeparator = false;
  #closer = '';

  constructor(calls: ToolCalls, syntax: JsonCallSyntax) {
    this.#calls = calls;
    this.#syntax = syntax;
    this.#finder = new TagFinder([...syntax.openers, ...(syntax.quietOpeners ?? [])]);
  }

  push(piece: string): void {
    for (let index = 0; index < piece.length; index++) this.#read(piece[index]!);
  }

  breaksWith(text: string | undefined): boolean {
    const body = this.#body;
    if (this.#place !== 'call' || body === undefined || body.isWhole || !this.#calls.isOpen) return false;
    return text === undefined || body.breaksWith(text);
  }

  end(isCut: boolean): void {
    const place = this.#place;
    this.#place = 'text';
    if (place === 'text') this.#calls.text(this.#finder.flush());
    if (place === 'opened' || place === 'name') this.#giveUp({ reason: 'it ends early', isCall: !this.#isQuiet });
    if (place !== 'call') return;
    const body = this.#body!;
    if (body.isWhole) this.#endCall(body);
    else if (!(isCut && this.#calls.isOpen)) this.#giveUp({ reason: 'it ends early', isCall: !this.#isQuiet });
  }

  #read(character: string): void {
    if (this.#place === 'text') this.#inText(character);
    else if (this.#place === 'opened') this.#afterOpener(character);
    else if (this.#place === 'name') this.#inName(character);
    else if (this.#place === 'call') this.#inCall(character);
    else this.#afterCall(character);
  }

  #inText(character: string): void {
    const isBare = this.#isLineStart && this.#syntax.mayBeBare && (character === '{' || character === '[');
    if (character === '\n') this.#isLineStart = true;
    else if (character.trim() !== '') this.#isLineStart = false;
    if (isBare) {
      this.#calls.text(this.#finder.flush());
      this.#open('', true);
      this.#afterOpener(character);
      return;
    }
    const { text, tag } = this.#finder.push(character);
    this.#calls.text(text);
    if (tag !== undefined) this.#open(tag, !this.#syntax.openers.includes(tag));
  }

  #open(tag: string, isQuiet: boolean): void {
    this.#place = 'opened';
    this.#whole = tag;
    this.#isQuiet = isQuiet;
    this.#isTagged = tag !== '';
    // The tag may have the list's bracket in it.
    this.#isList = tag.endsWith('[');
  }

  #afterOpener(character: string): void {
    const isBlank = character.trim() === '';
    const opensList = character === '[' && !this.#isList;
    if (isBlank || opensList) {
      this.#whole += character;
      this.#isList ||= opensList;
    } else if (character === '{') {
      this.#beginCall(new ObjectBody(this.#calls, this.#isQuiet), character);
    } else if (this.#mayBePython(character)) {
      this.#beginCall(new PythonBody(this.#calls), character);
    } else if (this.#syntax.named && !this.#isList && HEADER_CHARACTER.test(character)) {
      this.#place = 'name';
      this.#header = '';
      this.#inName(character);
    } else this.#giveUp({ reason: 'it is no JSON', isCall: false }, character);
  }

  /** Outside of tags and lists a letter is no call's beginning. */
  #mayBePython(character: string): boolean {
    return this.#syntax.mayBePython === true && (this.#isTagged || this.#isList) && NAME_START.test(character);
  }

  #inName(character: string): void {
    if (character !== '{') {
      const isHeader = HEADER_CHARACTER.test(character) && this.#header.length < MAX_HEADER;
      if (!isHeader) {
        this.#giveUp({ reason: 'no arguments follow its name', isCall: true }, character);
        return;
      }
      this.#header += character;
      this.#whole += character;
      return;
    }
    const name = this.#nameInHeader();
    if (name !== undefined && this.#calls.tool(name)) {
      this.#calls.start(name);
      this.#beginCall(new ArgumentsBody(this.#calls), character);
    } else {
      const found = JSON.stringify(name ?? withoutMarks(this.#header));
      this.#giveUp({ reason: `there is no tool ${found}`, isCall: true }, character);
    }
  }

  /** The header is a name, perhaps an id behind its tag, perhaps the tag of the arguments; nothing else. */
  #nameInHeader(): string | undefined {
    const { idTags, argumentsTags } = this.#syntax.named!;
    const name = NAME.exec(this.#header)?.[0] ?? '';
    let rest = this.#header.slice(name.length).trim();
    const idTag = idTags.find((tag) => rest.startsWith(tag));
    if (idTag !== undefined) rest = rest.slice(idTag.length).replace(/^\w*/, '');
    return name !== '' && ['', ...argumentsTags].includes(rest) ? name : undefined;
  }

  #beginCall(body: CallBody, character: string): void {
    this.#place = 'call';
    this.#body = body;
    this.#inCall(character);
  }

  #inCall(character: string): void {
    const body = this.#body!;
    const step = body.push(character);
    if (step === 'error') {
      this.#giveUp(body.fault, character);
      return;
    }
    if (step !== 'past') this.#whole += character;
    if (step === 'inside') return;
    this.#endCall(body);
    if (step === 'past') this.#read(character);
  }

  #endCall(body: CallBody): void {
    this.#calls.end();
    this.#calls.text(body.rest);
    this.#place = 'after';
    this.#whole = '';
    this.#forgetGap();
  }

  /** Closers, and separators before another call, are no text. */
  #afterCall(character: string): void {
    const { closers, mayBeBare = false } = this.#syntax;
    const mayFollow = this.#closer === '';
    const maySeparate = !this.#hasSeparator && (this.#isList || mayBeBare);
    const closer = this.#closer + character;
    if (mayFollow && (character.trim() === '' || (maySeparate && SEPARATORS.includes(character)))) {
      this.#gap += character;
      this.#hasSeparator ||= character.trim() !== '';
    } else if (!this.#hasSeparator && closers.includes(closer)) this.#leave('');
    else if (!this.#hasSeparator && closers.some((each) => each.startsWith(closer))) this.#closer = closer;
    else if (mayFollow && (character === '{' || (mayBeBare && character === '[') || this.#mayBePython(character))) {
      this.#openAgain(character);
    } else if (mayFollow && this.#isList && character === ']') {
      this.#isList = false;
      this.#forgetGap();
    } else this.#leave(this.#gap + this.#closer, character);
  }

  #forgetGap(): void {
    this.#gap = '';
    this.#hasSeparator = false;
    this.#closer = '';
  }

  /** A call follows another without a tag of its own. */
  #openAgain(character: string): void {
    this.#place = 'opened';
    this.#whole = '';
    this.#afterOpener(character);
  }

  #leave(text: string, character = ''): void {
    this.#place = 'text';
    this.#isLineStart = true;
    // What was held for a closer may begin an opener.
    this.push(text + character);
  }

  /** @param character the one that does not fit: it may begin something else */
  #giveUp({ reason, isCall }: CallFault, character?: string): void {
    const whole = this.#whole;
    this.#whole = '';
    this.#place = 'text';
    this.#isLineStart = false;
    if (this.#isQuiet && !isCall && !this.#calls.isOpen) this.#calls.text(whole);
    else this.#calls.giveUp(whole, reason);
    if (character !== undefined) this.#inText(character);
  }
}
