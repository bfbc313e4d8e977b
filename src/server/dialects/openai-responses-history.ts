/** Finds what a Responses request only names: earlier turns, and items of stored responses. */
import { randomBytes } from 'node:crypto';
import { EngineError } from '../../runtime/errors.ts';
import type { Item, OwnResponses, ResponseRecord } from '../responses/response-record.ts';
import { invalidParam } from './body-schema.ts';
import type { InputItem } from './openai-responses-body.ts';
import type { ResolvedItem } from './openai-responses-prompt.ts';

/** An item's id names its response, so that a reference needs no index: prefix, 32 digits of the response, 4 of its own. */
const ITEM_ID = /^[a-z]+_([0-9a-f]{32})[0-9a-f]{4}$/;
const RESPONSE_ID = /^resp_([0-9a-f]{32})$/;
/** Items of the input are counted from here. */
const FIRST_INPUT = 0x8000;
const NUM_IDS = 0x10000;

const PREFIXES: Readonly<Record<string, string>> = {
  message: 'msg',
  reasoning: 'rs',
  function_call: 'fc',
  function_call_output: 'fco',
  custom_tool_call: 'ctc',
  custom_tool_call_output: 'ctco',
};

/** @param digits 32 hex digits, for tests; absent: random ones */
export const newResponseId = (digits = randomBytes(16).toString('hex')): string => `resp_${digits}`;

export const outputItemId = (responseId: string, type: string, index: number): string =>
  itemId(responseId, type, index % FIRST_INPUT);

const itemId = (responseId: string, type: string, index: number): string => {
  const digits = RESPONSE_ID.exec(responseId)?.[1] ?? randomBytes(16).toString('hex');
  return `${PREFIXES[type] ?? 'item'}_${digits}${index.toString(16).padStart(4, '0')}`;
};

/** Ids for the items that came without. */
export const withIds = (items: readonly InputItem[], responseId: string): readonly (InputItem & { id: string })[] =>
  items.map((item, index) => ({
    ...item,
    id: item.id || itemId(responseId, item.type, (FIRST_INPUT + index) % NUM_IDS),
  }));

export class History {
  readonly #responses: OwnResponses | undefined;
  readonly #records = new Map<string, ResponseRecord>();

  /** @param responses absent: nothing is stored, and every name unknown */
  constructor(responses: OwnResponses | undefined) {
    this.#responses = responses;
  }

  /**
   * The items of a response and of all before it, oldest first.
   * @throws EngineError invalid_request (previous_response_not_found)
   */
  async before(previousId: string): Promise<readonly ResolvedItem[]> {
    const turns: ResponseRecord[] = [];
    for (let id: string | undefined = previousId; id !== undefined; id = turns.at(-1)?.previousId) {
      const record = await this.#find(id);
      if (record === undefined) throw previousNotFound(id, previousId);
      turns.push(record);
    }
    const items: ResolvedItem[] = [];
    for (const { input, response } of turns.reverse()) {
      items.push(
        ...(await this.resolve(input as readonly InputItem[])),
        ...(response.output as readonly ResolvedItem[]),
      );
    }
    return items;
  }

  /** The items with each reference replaced by what it names. @throws EngineError not_found */
  async resolve(items: readonly InputItem[]): Promise<readonly ResolvedItem[]> {
    const resolved: ResolvedItem[] = [];
    for (const item of items) resolved.push(item.type === 'item_reference' ? await this.#referenced(item.id) : item);
    return resolved;
  }

  async #referenced(id: string): Promise<ResolvedItem> {
    const digits = ITEM_ID.exec(id)?.[1];
    const record = digits === undefined ? undefined : await this.#find(newResponseId(digits));
    const item = record && [...record.response.output, ...record.input].find((each: Item) => each.id === id);
    if (item !== undefined && item.type !== 'item_reference') return item as ResolvedItem;
    const message = `Item with id '${id}' not found. Items are kept with responses that are stored, and as long as these`;
    throw new EngineError('not_found', message, { param: 'input', reason: 'item_not_found' });
  }

  async #find(id: string): Promise<ResponseRecord | undefined> {
    const record = this.#records.get(id) ?? (await this.#responses?.get(id));
    if (record !== undefined) this.#records.set(id, record);
    return record;
  }
}

const previousNotFound = (id: string, previousId: string): EngineError =>
  invalidParam(
    'previous_response_id',
    id === previousId
      ? `Previous response with id '${id}' not found`
      : `Previous response with id '${previousId}' goes on from '${id}', which is no longer there`,
    'previous_response_not_found',
  );
