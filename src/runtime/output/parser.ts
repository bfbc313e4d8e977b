/** Turns the text of tokens into events once for all dialects: answer, reasoning, tool calls, stop strings. */
import type { ChosenLogprob, ToolDefinition } from '../api.ts';
import { controlMark } from './control-marks.ts';
import { type AnswerEvent, EventWriter } from './event-writer.ts';
import { HARMONY_CALL_CLOSING, HARMONY_CLOSING, HarmonyReader } from './harmony-reader.ts';
import { THINK_CLOSING, ThinkReader } from './think-reader.ts';
import { randomId, ToolCalls } from './tool-calls.ts';
import { TOOL_FORMATS, type ToolFormatName } from './tool-formats/index.ts';
import type { ToolReader } from './tool-reader.ts';

/**
 * none: everything is the answer. think: `<think>…</think>` at its start is reasoning. harmony: gpt-oss's messages,
 * calls included.
 */
export type ReasoningFormat = 'none' | 'think' | 'harmony';

export interface OutputFormat {
  readonly reasoning: ReasoningFormat;
  /** The prompt already ends inside a reasoning block. */
  readonly reasoningOpened: boolean;
  /** Looked for in the answer's text, not in reasoning or in calls. */
  readonly stop: readonly string[];
  /** Absent: what looks like a call is text. */
  readonly toolFormat?: ToolFormatName | undefined;
  /** Those that may be called; none: what looks like a call is text. */
  readonly tools?: readonly ToolDefinition[];
  /** Tags of the format that are tokens of their own, by token id. */
  readonly tags?: ReadonlyMap<number, string> | undefined;
  /** The prompt ends inside the answer that goes on. */
  readonly isContinued?: boolean;
}

/** What is known of a token beside its text. */
export interface OutputToken {
  readonly tokenId?: number;
  readonly logprobs?: ChosenLogprob;
}

/** A token that may come next. */
export interface NextOutput {
  readonly tokenId: number;
  readonly endOfTurn: boolean;
  readonly hasPending: boolean;
}

/**
 * What a model that has thought enough is made to write; undefined where no reasoning is told from the answer.
 * @param mustCall a call of a tool must follow
 */
export const reasoningClosing = (reasoning: ReasoningFormat, mustCall: boolean): string | undefined =>
  ({ none: undefined, think: THINK_CLOSING, harmony: mustCall ? HARMONY_CALL_CLOSING : HARMONY_CLOSING })[reasoning];

const NO_TAGS: ReadonlyMap<number, string> = new Map();

/**
 * Takes one token after the other. Each gives its events at once, unless its text may belong to a tag or a stop
 * string; tags and stop strings never come out. The result does not depend on how the text is split.
 */
export class OutputParser {
  readonly #writer: EventWriter;
  readonly #calls: ToolCalls;
  readonly #tags: ReadonlyMap<number, string>;
  readonly #marks: readonly string[];
  readonly #harmony: HarmonyReader | undefined;
  readonly #think: ThinkReader | undefined;
  readonly #tools: ToolReader | undefined;
  #reasoningTokens = 0;

  constructor(options: OutputFormat) {
    const { reasoning, reasoningOpened, stop, toolFormat, tools = [], tags = NO_TAGS, isContinued = false } = options;
    const format = toolFormat === undefined ? undefined : TOOL_FORMATS[toolFormat];
    const isHarmony = reasoning === 'harmony' || format === TOOL_FORMATS.harmony;
    const reads = !isHarmony && tools.length > 0 ? format?.reader : undefined;
    this.#writer = new EventWriter({ stop, mayCall: tools.length > 0 && format !== undefined });
    this.#marks = reads ? format!.tags : [];
    this.#calls = new ToolCalls(this.#writer, { tools, newCallId: format?.newCallId ?? newCallId, tags: this.#marks });
    this.#tools = reads?.(this.#calls);
    this.#tags = isHarmony || reads ? tags : NO_TAGS;
    if (isHarmony) this.#harmony = new HarmonyReader(this.#writer, this.#calls, isContinued);
    else if (reasoning === 'think') {
      const sink = {
        reasoning: (text: string) => this.#writer.reasoning(text),
        answer: (text: string) => this.#answer(text),
      };
      this.#think = new ThinkReader(sink, reasoningOpened);
    }
  }

  /** Tokens whose text was, wholly or partly, reasoning or one of its tags. */
  get reasoningTokens(): number {
    return this.#harmony?.reasoningTokens ?? this.#reasoningTokens;
  }

  /** The stop string that was met; nothing may be pushed after it. */
  get stopSequence(): string | undefined {
    return this.#writer.stopSequence;
  }

  /** Calls that came to their end. */
  get numCalls(): number {
    return this.#calls.numWhole;
  }

  /** Whether what comes next is reasoning, as far as is known. */
  get isReasoning(): boolean {
    return this.#harmony?.isReasoning ?? this.#think?.isReasoning ?? false;
  }

  /**
   * Whether the next token would make a call that was announced none: its arguments no JSON, or their end too early.
   * @param hasPending the token leaves bytes that begin a character
   */
  breaksCall(text: string, { tokenId, endOfTurn, hasPending }: NextOutput): boolean {
    const reader = this.#harmony ?? this.#tools;
    if (reader === undefined) return false;
    if (endOfTurn) return reader.breaksWith(undefined);
    // Of a character that has only begun it is known that JSON has it in strings alone.
    const { said, mark, tag } = this.#spoken(hasPending ? `${text}\ufffd` : text, tokenId);
    return this.#harmony ? this.#harmony.breaksWith(said, tag) : reader.breaksWith(said + mark);
  }

  /** @param text the token's text; empty while its bytes are not whole UTF-8, and for control tokens */
  push(text: string, { tokenId, logprobs }: OutputToken = {}): AnswerEvent[] {
    const { said, mark, tag } = this.#spoken(text, tokenId);
    if (logprobs) this.#writer.logprob(logprobs);
    if (this.#harmony) this.#harmony.push(said, tag);
    else this.#advance(said + mark);
    this.#calls.settle();
    return this.#writer.take();
  }

  /**
   * What was held back, when the answer is over.
   * @param rest text of the last bytes, which belongs to no further token
   * @param isCut a limit ended the answer: a call that it was in stays open
   */
  flush(rest = '', isCut = false): AnswerEvent[] {
    if (this.#harmony) {
      if (rest !== '') this.#harmony.push(rest);
      this.#harmony.end(isCut);
    } else {
      if (rest !== '') this.#advance(rest);
      this.#think?.end();
      this.#tools?.end(isCut);
    }
    this.#calls.settle();
    this.#writer.flush();
    return this.#writer.take();
  }

  /** What a token says, and the tag that it is, with the mark that stands for it in text. */
  #spoken(text: string, tokenId: number | undefined): { said: string; mark: string; tag: string | undefined } {
    const tag = tokenId === undefined ? undefined : this.#tags.get(tokenId);
    if (tag === undefined) return { said: text, mark: '', tag };
    const index = this.#marks.indexOf(tag);
    // The tag's own text is not the answer's, where the vocabulary gives it one.
    const said = text.endsWith(tag) ? text.slice(0, -tag.length) : text;
    return { said, mark: index < 0 ? '' : controlMark(index), tag };
  }

  #advance(piece: string): void {
    if (!this.#think) {
      this.#answer(piece);
      return;
    }
    this.#think.push(piece);
    if (this.#think.sawReasoning) this.#reasoningTokens++;
    // Those of a closing tag and of the white space behind it must not pass for the answer's.
    if (this.#think.isBehindTag) this.#writer.giveLogprobsTo('reasoning');
  }

  #answer(text: string): void {
    if (this.#tools) this.#tools.push(text);
    else this.#writer.text(text);
  }
}

const newCallId = (): string => `call_${randomId(24)}`;
