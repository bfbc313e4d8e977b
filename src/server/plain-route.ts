/** A route that belongs to no dialect. */
import type { HttpRequest } from './http.ts';
import type { Reply } from './reply.ts';

/**
 * `everyone` needs no key. `probes`: nor does who asks from this machine, and a server that drains still answers. `this
 * machine`: programs on it alone, with a key where there are keys, since it changes the machine.
 */
export type RouteAccess = 'everyone' | 'probes' | 'this machine';

export interface PlainRoute {
  /** For the log and the metrics: without what a client wrote. */
  readonly name: string;
  readonly methods: readonly string[];
  /** Absent: for whoever has a key, where there are keys. */
  readonly access?: RouteAccess;
  /** Reads the body, if it wants one, before its first `await`. */
  answer(request: HttpRequest, reply: Reply): void | Promise<void>;
}

export const readRoute = (name: string, answer: PlainRoute['answer'], access?: RouteAccess): PlainRoute => ({
  name,
  methods: ['GET', 'HEAD'],
  ...(access === undefined ? {} : { access }),
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
