/** A response's events, numbered without gaps, one item open at a time; and the same response as one object. */
import type { GenerationEvent, Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import type { Item, OwnResponses, ResponseObject, ResponseRecord } from '../responses/response-record.ts';
import type { Answer, AnswerPart, AnswerWarning, Encoder, EventPayload, FinishEvent, Frame } from './dialect.ts';
import { outputItemId } from './openai-responses-history.ts';
import {
  type Call,
  CustomCallItem,
  FunctionCallItem,
  MessageItem,
  type OutputItem,
  type ReasoningForm,
  ReasoningItem,
} from './openai-responses-items.ts';
import { type ResponseHead, type ResponseStatus, responseObject } from './openai-responses-object.ts';
import type { ToolName } from './openai-responses-tools.ts';

/** A parsed request, as far as its answer needs it. */
export interface ResponsePlan {
  readonly head: ResponseHead;
  /** Of the input, with ids. */
  readonly input: readonly Item[];
  readonly previousId: string | undefined;
  readonly isStored: boolean;
  readonly reasoning: ReasoningForm;
  /** By the model's names of the tools. */
  readonly toolNames: ReadonlyMap<string, ToolName>;
  /** It goes on without its client, and says whether it waits. */
  readonly isBackground: boolean;
  /** The prompt is all that was wanted: no answer is expected. */
  readonly isWarmUp: boolean;
  readonly responses: OwnResponses | undefined;
  /** Ends the answer early. */
  cancel(): void;
}

export class ResponseEncoder implements Encoder {
  readonly #plan: ResponsePlan;
  readonly #finished: Item[] = [];
  readonly #warnings: AnswerWarning[] = [];
  #open: { readonly item: OutputItem; readonly type: string } | undefined;
  #sequenceNumber = 0;
  #isQueued: boolean;
  #finish: FinishEvent | undefined;

  constructor(plan: ResponsePlan) {
    this.#plan = plan;
    this.#isQueued = plan.isBackground;
  }

  /** As it is when it has just been accepted. */
  static begun({ head, isBackground }: ResponsePlan): ResponseObject {
    return responseObject(head, { status: isBackground ? 'queued' : 'in_progress', output: [] });
  }

  async begin(): Promise<readonly Frame[]> {
    const { responses, head, cancel, isBackground } = this.#plan;
    const record = () => this.#record(this.#object(this.#isQueued ? 'queued' : 'in_progress'));
    await responses?.begin(head.id, { record, cancel }, isBackground);
    const response = ResponseEncoder.begun(this.#plan);
    return this.#frames([
      { type: 'response.created', response },
      { type: 'response.in_progress', response: { ...response, status: 'in_progress' } },
    ]);
  }

  event(_choice: number, event: GenerationEvent): readonly Frame[] {
    return this.#frames(this.#eventsOf(event));
  }

  async end(): Promise<readonly Frame[]> {
    const response = await this.finish();
    return this.#terminal(`response.${response.status}`, response);
  }

  /** The client that reads this finds out what happened; for one that has left, it is kept. */
  async failure(error: EngineError): Promise<readonly Frame[]> {
    const isCancelled = error.code === 'aborted';
    const response = await this.#keep(isCancelled ? 'cancelled' : 'failed', isCancelled ? undefined : error);
    return this.#terminal(isCancelled ? 'response.incomplete' : 'response.failed', response);
  }

  ping(): readonly Frame[] {
    return this.#frames([{ type: 'keepalive' }]);
  }

  /** Once the last event has come: the whole response, which is stored if it was to be. */
  finish(): Promise<ResponseObject> {
    const isCut = this.#finish?.reason === 'length' && !this.#plan.isWarmUp;
    return this.#keep(isCut ? 'incomplete' : 'completed');
  }

  /** Takes a whole answer as if it had been streamed. */
  add({ parts, logprobs, warnings, finish }: Answer): void {
    const firstText = parts.findIndex(({ type }) => type === 'text');
    parts.forEach((part, index) => {
      const isCut = finish.reason === 'length' && index === parts.length - 1;
      for (const event of eventsOfPart(part, index, isCut)) {
        this.#eventsOf(event.type === 'text' && index === firstText ? { ...event, logprobs } : event);
      }
    });
    this.#warnings.push(...warnings);
    this.#eventsOf(finish);
  }

  async #keep(status: ResponseStatus, error?: EngineError): Promise<ResponseObject> {
    const { responses, isStored } = this.#plan;
    const response = this.#object(status, error);
    const isKept = (await responses?.keep(this.#record(response), isStored)) ?? false;
    return isKept === isStored ? response : { ...response, store: isKept };
  }

  #terminal(type: string, response: ResponseObject): readonly Frame[] {
    return [...this.#frames([{ type, response }]), { kind: 'done' }];
  }

  #eventsOf(event: GenerationEvent): readonly EventPayload[] {
    this.#isQueued = false;
    switch (event.type) {
      case 'text':
        if (event.text === '' && event.logprobs === undefined) return [];
        return this.#grow(
          'message',
          (place) => new MessageItem(place),
          (item) => item.append(event.text, event.logprobs),
        );
      case 'reasoning': {
        if (event.text === '') return [];
        const { reasoning } = this.#plan;
        return this.#grow(
          'reasoning',
          (place) => new ReasoningItem(place, reasoning),
          (item) => item.append(event.text),
        );
      }
      case 'tool_call_start':
        return [...this.#close('completed'), ...this.#openCall(event.id, event.name)];
      case 'tool_call_arguments':
        return this.#open?.item instanceof FunctionCallItem || this.#open?.item instanceof CustomCallItem
          ? this.#open.item.append(event.text)
          : [];
      case 'tool_call_end':
        return this.#close('completed');
      case 'warning':
        this.#warnings.push({ code: event.code, message: event.message });
        return event.index === undefined ? [] : this.#close('incomplete');
      case 'finish':
        return this.#end(event);
      default:
        return [];
    }
  }

  #end(event: FinishEvent): readonly EventPayload[] {
    this.#finish = event;
    const isCut = event.reason === 'length';
    const closing = this.#close(isCut ? 'incomplete' : 'completed');
    const hasAnswer = this.#finished.some(({ type }) => type !== 'reasoning');
    if (hasAnswer || isCut || this.#plan.isWarmUp) return closing;
    // Nothing is an answer, too: clients look for the message.
    const opening = this.#openItem('message', new MessageItem(this.#place('message')));
    return [...closing, ...opening, ...this.#close('completed')];
  }

  /** Goes on with the open item if it is one of this type, else with a new one. */
  #grow<Kind extends OutputItem>(
    type: string,
    create: (place: { id: string; outputIndex: number }) => Kind,
    append: (item: Kind) => readonly EventPayload[],
  ): readonly EventPayload[] {
    if (this.#open?.type === type) return append(this.#open.item as Kind);
    const closing = this.#close('completed');
    const item = create(this.#place(type));
    return [...closing, ...this.#openItem(type, item), ...append(item)];
  }

  #openCall(callId: string, modelName: string): readonly EventPayload[] {
    const tool = this.#plan.toolNames.get(modelName) ?? { kind: 'function' as const, name: modelName };
    const call: Call = { callId, tool };
    const type = tool.kind === 'custom' ? 'custom_tool_call' : 'function_call';
    const place = this.#place(type);
    return this.#openItem(
      type,
      tool.kind === 'custom' ? new CustomCallItem(place, call) : new FunctionCallItem(place, call),
    );
  }

  #openItem(type: string, item: OutputItem): readonly EventPayload[] {
    this.#open = { item, type };
    return item.open();
  }

  #close(status: 'completed' | 'incomplete'): readonly EventPayload[] {
    if (this.#open === undefined) return [];
    const { item } = this.#open;
    this.#open = undefined;
    const events = item.close(status);
    this.#finished.push(item.body(status));
    return events;
  }

  #place(type: string): { id: string; outputIndex: number } {
    const outputIndex = this.#finished.length;
    return { id: outputItemId(this.#plan.head.id, type, outputIndex), outputIndex };
  }

  #object(status: ResponseStatus, error?: EngineError): ResponseObject {
    const open = this.#open?.item.body(status === 'in_progress' ? 'in_progress' : 'incomplete');
    const usage: Usage | undefined = this.#finish?.usage;
    const output = open === undefined ? [...this.#finished] : [...this.#finished, open];
    return responseObject(this.#plan.head, { status, output, usage, error, warnings: this.#warnings });
  }

  #record(response: ResponseObject): ResponseRecord {
    return { response, input: this.#plan.input, previousId: this.#plan.previousId };
  }

  #frames(events: readonly EventPayload[]): readonly Frame[] {
    return events.map(({ type, ...fields }) => ({
      kind: 'event',
      payload: { type, sequence_number: this.#sequenceNumber++, ...fields },
    }));
  }
}

const eventsOfPart = (part: AnswerPart, index: number, isCut: boolean): readonly GenerationEvent[] => {
  if (part.type !== 'tool_call') return [{ type: part.type, text: part.text }];
  return [
    { type: 'tool_call_start', index, id: part.id, name: part.name },
    { type: 'tool_call_arguments', index, text: part.arguments },
    ...(isCut && !isJson(part.arguments) ? [] : [{ type: 'tool_call_end', index } as const]),
  ];
};

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
