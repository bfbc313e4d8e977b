/** The items of a response's output as they grow: each says what begins, continues and ends it, and what it is. */
import type { ChosenLogprob } from '../../runtime/api.ts';
import type { Item } from '../responses/response-record.ts';
import { CustomInput } from './custom-tool.ts';
import type { EventPayload } from './dialect.ts';
import { logprobsBody } from './openai.ts';
import type { ToolName } from './openai-responses-tools.ts';
import { sealReasoning } from './sealed-reasoning.ts';

/** What an item is, before it has grown and after. */
type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** Where in the output it stands. */
export interface ItemPlace {
  readonly id: string;
  readonly outputIndex: number;
}

/** Events lack their sequence numbers. */
export interface OutputItem {
  open(): readonly EventPayload[];
  close(status: 'completed' | 'incomplete'): readonly EventPayload[];
  /** As it is now. */
  body(status: ItemStatus): Item;
}

const added = ({ outputIndex }: ItemPlace, item: Item): EventPayload => ({
  type: 'response.output_item.added',
  output_index: outputIndex,
  item,
});
const done = ({ outputIndex }: ItemPlace, item: Item): EventPayload => ({
  type: 'response.output_item.done',
  output_index: outputIndex,
  item,
});
const inItem = ({ id, outputIndex }: ItemPlace) => ({ item_id: id, output_index: outputIndex });
const inPart = (place: ItemPlace) => ({ ...inItem(place), content_index: 0 });

export class MessageItem implements OutputItem {
  readonly #place: ItemPlace;
  readonly #logprobs: object[] = [];
  #text = '';

  constructor(place: ItemPlace) {
    this.#place = place;
  }

  open(): readonly EventPayload[] {
    const item = { ...this.body('in_progress'), content: [] };
    return [
      added(this.#place, item),
      { type: 'response.content_part.added', ...inPart(this.#place), part: this.#part() },
    ];
  }

  append(text: string, chosen: readonly ChosenLogprob[] = []): readonly EventPayload[] {
    const logprobs = (logprobsBody(chosen) as { content: object[] }).content;
    this.#text += text;
    this.#logprobs.push(...logprobs);
    return [{ type: 'response.output_text.delta', ...inPart(this.#place), delta: text, logprobs }];
  }

  close(status: 'completed' | 'incomplete'): readonly EventPayload[] {
    const place = inPart(this.#place);
    return [
      { type: 'response.output_text.done', ...place, text: this.#text, logprobs: [...this.#logprobs] },
      { type: 'response.content_part.done', ...place, part: this.#part() },
      done(this.#place, this.body(status)),
    ];
  }

  body(status: ItemStatus): Item {
    return { id: this.#place.id, type: 'message', status, role: 'assistant', content: [this.#part()] };
  }

  #part() {
    return { type: 'output_text', text: this.#text, annotations: [], logprobs: [...this.#logprobs] };
  }
}

export interface ReasoningForm {
  /** The reasoning goes out as its own summary, too: some clients show nothing else. */
  readonly withSummary: boolean;
  /** The finished item has `encrypted_content`. */
  readonly isSealed: boolean;
}

export class ReasoningItem implements OutputItem {
  readonly #place: ItemPlace;
  readonly #form: ReasoningForm;
  #text = '';

  constructor(place: ItemPlace, form: ReasoningForm) {
    this.#place = place;
    this.#form = form;
  }

  open(): readonly EventPayload[] {
    const item = { ...this.body('in_progress'), summary: [], content: [] };
    return [
      added(this.#place, item),
      { type: 'response.content_part.added', ...inPart(this.#place), part: this.#part() },
      ...this.#summaryEvent('part.added', { part: this.#summary() }),
    ];
  }

  append(text: string): readonly EventPayload[] {
    this.#text += text;
    return [
      { type: 'response.reasoning_text.delta', ...inPart(this.#place), delta: text },
      ...this.#summaryEvent('text.delta', { delta: text }),
    ];
  }

  close(status: 'completed' | 'incomplete'): readonly EventPayload[] {
    return [
      { type: 'response.reasoning_text.done', ...inPart(this.#place), text: this.#text },
      ...this.#summaryEvent('text.done', { text: this.#text }),
      { type: 'response.content_part.done', ...inPart(this.#place), part: this.#part() },
      ...this.#summaryEvent('part.done', { part: this.#summary() }),
      done(this.#place, this.body(status)),
    ];
  }

  body(status: ItemStatus): Item {
    return {
      id: this.#place.id,
      type: 'reasoning',
      status,
      summary: this.#form.withSummary ? [this.#summary()] : [],
      content: [this.#part()],
      ...(this.#form.isSealed && status !== 'in_progress' ? { encrypted_content: sealReasoning(this.#text) } : {}),
    };
  }

  #part() {
    return { type: 'reasoning_text', text: this.#text };
  }

  #summary() {
    return { type: 'summary_text', text: this.#text };
  }

  #summaryEvent(name: string, fields: object): EventPayload[] {
    if (!this.#form.withSummary) return [];
    return [{ type: `response.reasoning_summary_${name}`, ...inItem(this.#place), summary_index: 0, ...fields }];
  }
}

/** A call under the client's own name for the tool. */
export interface Call {
  readonly callId: string;
  readonly tool: ToolName;
}

const callFields = ({ callId, tool: { name, namespace } }: Call) => ({
  call_id: callId,
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

export class FunctionCallItem implements OutputItem {
  readonly #place: ItemPlace;
  readonly #call: Call;
  #arguments = '';

  constructor(place: ItemPlace, call: Call) {
    this.#place = place;
    this.#call = call;
  }

  open(): readonly EventPayload[] {
    return [added(this.#place, this.body('in_progress'))];
  }

  append(text: string): readonly EventPayload[] {
    this.#arguments += text;
    return [{ type: 'response.function_call_arguments.delta', ...inItem(this.#place), delta: text }];
  }

  close(status: 'completed' | 'incomplete'): readonly EventPayload[] {
    const { name } = this.#call.tool;
    return [
      {
        type: 'response.function_call_arguments.done',
        ...inItem(this.#place),
        name,
        arguments: this.#arguments,
      },
      done(this.#place, this.body(status)),
    ];
  }

  body(status: ItemStatus): Item {
    return {
      id: this.#place.id,
      type: 'function_call',
      status,
      ...callFields(this.#call),
      arguments: this.#arguments,
    };
  }
}

/** The model writes `{"input": "…"}`; the client sees the text alone. */
export class CustomCallItem implements OutputItem {
  readonly #place: ItemPlace;
  readonly #call: Call;
  readonly #input = new CustomInput();
  #text = '';

  constructor(place: ItemPlace, call: Call) {
    this.#place = place;
    this.#call = call;
  }

  open(): readonly EventPayload[] {
    return [added(this.#place, this.body('in_progress'))];
  }

  append(json: string): readonly EventPayload[] {
    return this.#delta(this.#input.push(json));
  }

  close(status: 'completed' | 'incomplete'): readonly EventPayload[] {
    const rest = this.#delta(this.#input.end());
    const event = { type: 'response.custom_tool_call_input.done', ...inItem(this.#place), input: this.#text };
    return [...rest, event, done(this.#place, this.body(status))];
  }

  body(status: ItemStatus): Item {
    return { id: this.#place.id, type: 'custom_tool_call', status, ...callFields(this.#call), input: this.#text };
  }

  #delta(text: string): EventPayload[] {
    if (text === '') return [];
    this.#text += text;
    return [{ type: 'response.custom_tool_call_input.delta', ...inItem(this.#place), delta: text }];
  }
}
