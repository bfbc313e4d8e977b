/** What is kept of a response, and what a caller may do with its own. */

/** An item of a conversation as it goes over the wire. */
export interface Item {
  readonly type: string;
  readonly id?: string | null | undefined;
  readonly [field: string]: unknown;
}

/** A response object, as it was sent last. */
export interface ResponseObject {
  readonly id: string;
  readonly output: readonly Item[];
  readonly [field: string]: unknown;
}

/** One turn: what it was asked, and what it answered. Earlier turns are records of their own. */
export interface ResponseRecord {
  readonly response: ResponseObject;
  /** Every item has an id; references stay references. */
  readonly input: readonly Item[];
  readonly previousId: string | undefined;
}

/** A response whose end has not been sent. */
export interface RunningResponse {
  /** As it is now. */
  readonly record: () => ResponseRecord;
  /** Ends it early. */
  cancel(): void;
}

/** The responses of one caller. Nobody sees another's. */
export interface OwnResponses {
  /** False: none is stored here, whatever requests ask for. */
  readonly isKeeping: boolean;
  /** Finished ones alone; undefined: there is none, or no longer. */
  get(id: string): Promise<ResponseRecord | undefined>;
  /**
   * From now on it can be looked at and cancelled, until `keep`.
   * @param isPromised it is waited for by its id: resolves when the server would find it again after a restart, as one
   * that failed
   */
  begin(id: string, running: RunningResponse, isPromised: boolean): Promise<void>;
  /**
   * Resolves when the record can be found again, after a restart too where there is a disk.
   * @param isStored what the request asked for; false: nothing outlives the connection
   * @returns whether it is stored
   */
  keep(record: ResponseRecord, isStored: boolean): Promise<boolean>;
}
