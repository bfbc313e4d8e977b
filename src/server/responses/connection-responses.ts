/** What one WebSocket remembers: the last response of each of its lanes, stored or not. */
import type { Item, OwnResponses, ResponseRecord } from './response-record.ts';

export class ConnectionResponses {
  readonly #last = new Map<string, ResponseRecord>();

  /** Of one request. What it found stays found until its end, whatever other lanes do meanwhile. */
  on(lane: string, stored: OwnResponses): OwnResponses {
    const found = new Map<string, ResponseRecord>();
    return {
      isKeeping: stored.isKeeping,
      get: async (id) => {
        const record = found.get(id) ?? this.#find(id) ?? (await stored.get(id));
        if (record !== undefined) found.set(id, record);
        return record;
      },
      begin: (id, running, isPromised) => stored.begin(id, running, isPromised),
      keep: (record, isStored) => {
        const { status } = record.response;
        if (status === 'completed' || status === 'incomplete') this.#last.set(lane, whole(record, found));
        else this.forget(record.previousId);
        return stored.keep(record, isStored);
      },
    };
  }

  /** A continuation that failed takes what it would have continued with it. */
  forget(id: string | undefined): void {
    for (const [lane, { response }] of this.#last) if (response.id === id) this.#last.delete(lane);
  }

  #find(id: string): ResponseRecord | undefined {
    for (const record of this.#last.values()) if (record.response.id === id) return record;
    return undefined;
  }
}

/** The record with all before it as its own input, so that it needs none of them. */
const whole = (record: ResponseRecord, found: ReadonlyMap<string, ResponseRecord>): ResponseRecord => {
  const turns: (readonly Item[])[] = [record.input];
  let { previousId } = record;
  for (let before = find(found, previousId); before !== undefined; before = find(found, previousId)) {
    turns.push(before.response.output, before.input);
    previousId = before.previousId;
  }
  return { response: record.response, input: turns.reverse().flat(), previousId };
};

const find = (found: ReadonlyMap<string, ResponseRecord>, id: string | undefined): ResponseRecord | undefined =>
  id === undefined ? undefined : found.get(id);
