/**
 * Reads answers in gpt-oss's format by their control tokens: messages with a head and a channel, one after the other.
 * Whatever the model writes, no tag is shown, nothing that was said is lost, and nothing throws.
 * Source: OpenAI's harmony response format.
 */
import { ArgumentsBody } from './call-body.ts';
import type { EventWriter } from './event-writer.ts';
import { leftover, mayBeRole, readHeader } from './harmony-header.ts';
import type { ToolCalls } from './tool-calls.ts';

export const HARMONY_TAGS = [
  '<|start|>',
  '<|channel|>',
  '<|constrain|>',
  '<|message|>',
  '<|end|>',
  '<|call|>',
  '<|return|>',
];

/**
 * In a head: after `<|start|>` or where it should be, after `<|channel|>`, after `<|constrain|>`. In a body: what it
 * is, or what stands behind a call's arguments.
 */
type Place = 'role' | 'channel' | 'content type' | 'reasoning' | 'text' | 'call' | 'after call';

const HEAD: ReadonlySet<Place> = new Set(['role', 'channel', 'content type']);
/** What ends reasoning. */
export const HARMONY_CLOSING = '<|end|><|start|>assistant<|channel|>final<|message|>';
/** What leads from reasoning to a call that must come. */
export const HARMONY_CALL_CLOSING = '<|end|><|start|>assistant<|channel|>commentary to=functions.';

const CALL_PREFIX = 'functions.';
const NO_HEAD = { role: '', channel: '', 'content type': '' };
/** A role longer than this is a text. */
const MAX_ROLE = 256;

export class HarmonyReader {
  readonly #writer: EventWriter;
  readonly #calls: ToolCalls;
  #place: Place;
  #head = { ...NO_HEAD };
  /** `<|start|>` itself was there: what follows it is a role, whatever it looks like. */
  #hasStart = false;
  #arguments: ArgumentsBody | undefined;
  /** The call's arguments as the model wrote them. */
  #whole = '';
  #numHeadTokens = 0;
  #reasoningTokens = 0;

  /** @param isContinued the prompt ends inside the final message; else behind `<|start|>assistant` */
  constructor(writer: EventWriter, calls: ToolCalls, isContinued: boolean) {
    this.#writer = writer;
    this.#calls = calls;
    this.#place = isContinued ? 'text' : 'role';
  }

  /** Tokens of analysis messages, heads and tags included. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  get isReasoning(): boolean {
    return this.#place === 'reasoning';
  }

  /** @param tag the control token that came; `text` is then what earlier tokens left */
  push(text: string, tag?: string): void {
    const wasReasoning = this.#place === 'reasoning';
    if (text !== '') this.#text(text);
    if (tag !== undefined) this.#tag(tag);
    if (wasReasoning) this.#reasoningTokens++;
    else if (HEAD.has(this.#place)) this.#numHeadTokens++;
    else {
      if (this.#place === 'reasoning') this.#reasoningTokens += this.#numHeadTokens + 1;
      this.#numHeadTokens = 0;
    }
  }

  /** Whether with this text or control token a call that was announced would be none; no text: the answer's end. */
  breaksWith(text: string | undefined, tag?: string): boolean {
    if (this.#place !== 'call') return false;
    // Without any arguments it is whole.
    if (tag !== undefined || text === undefined) return this.#whole.trim() !== '';
    return this.#arguments!.breaksWith(text);
  }

  /** The answer is over. @param isCut a limit ended it: an open call stays open */
  end(isCut: boolean): void {
    if (!(isCut && this.#calls.isOpen)) this.#endMessage();
  }

  #tag(tag: string): void {
    const isHead = HEAD.has(this.#place);
    if (tag === '<|constrain|>') {
      if (isHead) this.#place = 'content type';
    } else if (tag === '<|message|>') {
      if (isHead) this.#beginBody();
    } else if (tag === '<|channel|>' && this.#place === 'role') {
      this.#place = 'channel';
    } else {
      this.#endMessage();
      if (tag === '<|channel|>') this.#place = 'channel';
      this.#hasStart = tag === '<|start|>';
    }
  }

  #text(text: string): void {
    const place = this.#place;
    if (place === 'reasoning') this.#think(text);
    else if (place === 'text') this.#calls.text(text);
    else if (place === 'call') this.#argumentsText(text);
    else if (place === 'after call') this.#afterCall(text.trimStart());
    else this.#headText(place, text);
  }

  #afterCall(text: string): void {
    if (text !== '') this.#place = 'text';
    this.#calls.text(text);
  }

  #think(text: string): void {
    this.#calls.settle();
    this.#writer.reasoning(text);
  }

  /** A model that leaves `<|start|>` out, or every tag, is still understood. */
  #headText(place: keyof typeof NO_HEAD, text: string): void {
    this.#head[place] += text;
    const { role } = this.#head;
    if (place !== 'role' || (role.length <= MAX_ROLE && (this.#hasStart || mayBeRole(role)))) return;
    this.#place = 'text';
    this.#head = { ...NO_HEAD };
    this.#calls.text(role);
  }

  #beginBody(): void {
    const { channel, recipient } = readHeader(this.#head.role, this.#head.channel);
    this.#head = { ...NO_HEAD };
    this.#place = channel === 'analysis' ? 'reasoning' : 'text';
    if (this.#place === 'text') this.#writer.dropLogprobs();
    if (recipient === undefined) return;
    const name = this.#toolName(recipient);
    if (name === undefined) {
      // Shown, even on the channel of thoughts: it was meant to have an effect.
      this.#place = 'text';
      this.#calls.giveUp('', `there is no tool ${JSON.stringify(recipient)}`);
      return;
    }
    this.#place = 'call';
    this.#whole = '';
    this.#calls.start(name);
    this.#arguments = new ArgumentsBody(this.#calls);
  }

  /** The content type may stick to the recipient. */
  #toolName(recipient: string): string | undefined {
    const name = recipient.startsWith(CALL_PREFIX) ? recipient.slice(CALL_PREFIX.length) : recipient;
    return [name, name.replace(/json$/, '')].find((candidate) => this.#calls.tool(candidate));
  }

  #argumentsText(text: string): void {
    for (let index = 0; index < text.length; index++) {
      const step = this.#arguments!.push(text[index]!);
      if (step === 'inside') continue;
      if (step === 'end') {
        this.#calls.end();
        this.#place = 'after call';
        this.#text(text.slice(index + 1));
      } else {
        this.#calls.giveUp(this.#whole + text, 'its arguments are no JSON object');
        this.#place = 'text';
      }
      return;
    }
    this.#whole += text;
  }

  #endMessage(): void {
    if (HEAD.has(this.#place)) {
      const { role, channel, 'content type': type } = this.#head;
      this.#calls.text(leftover(this.#hasStart, role, channel, type));
    }
    if (this.#place === 'call') {
      if (this.#whole.trim() === '') {
        this.#calls.arguments('{}');
        this.#calls.end();
      } else this.#calls.giveUp(this.#whole, 'its arguments end early');
    }
    this.#place = 'role';
    this.#head = { ...NO_HEAD };
    this.#hasStart = false;
  }
}
