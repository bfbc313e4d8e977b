/** The list of models, as far as programs usually look at it. */

export interface ModelEntry {
  readonly id: string;
  /** The one that answers; installed ones do not. */
  readonly served?: boolean;
  /** Most tokens of prompt and answer together. */
  readonly context_length?: number | null;
  readonly [field: string]: unknown;
}

/** The body of `GET /v1/models`. */
export interface ModelList {
  readonly data: readonly ModelEntry[];
}
