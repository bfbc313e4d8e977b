/** A route that belongs to no dialect. */
import type { HttpRequest } from './http.ts';
import type { Reply } from './reply.ts';

export interface PlainRoute {
  /** For the log and the metrics: without what a client wrote. */
  readonly name: string;
  readonly methods: readonly string[];
  /** Changes this machine: for programs on it alone. */
  readonly isAdmin: boolean;
  /** Reads the body, if it wants one, before its first `await`. */
  answer(request: HttpRequest, reply: Reply): void | Promise<void>;
}

export const readRoute = (name: string, answer: PlainRoute['answer']): PlainRoute => ({
  name,
  methods: ['GET', 'HEAD'],
  isAdmin: false,
  answer,
});

/** What follows `prefix` in a path, decoded. */
export const decodeRest = (path: string, prefix: string): string => decodeSegment(path.slice(prefix.length));

export const decodeSegment = (segment: string): string => {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // A broken escape names nothing: the 404 quotes it as it came.
  }
};
