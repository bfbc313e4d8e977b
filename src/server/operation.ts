/** One line of the API's description: what a method of a path is for, and what it wants. */
import type { z } from 'zod';

export interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As OpenAPI writes it: `/v1/sessions/{id}`. It is the `name` of the route that answers. */
  readonly path: string;
  /** One line for people. */
  readonly summary: string;
  /** Of the JSON body; absent: none is read. */
  readonly body?: z.ZodType;
  /** The body may be left out. */
  readonly bodyIsOptional?: true;
  /** Query parameters by name, with a line for people each. */
  readonly query?: Readonly<Record<string, string>>;
  /** Content type of a body that is no JSON. */
  readonly takes?: string;
  /** Content type of the answer; absent: JSON. */
  readonly answers?: string;
}
