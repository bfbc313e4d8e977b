/** Server-sent events: compact JSON on one `data:` line, LF, blank line. Source: WHATWG HTML §9.2. */
import type { EventPayload, Frame } from './dialect.ts';

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export const sseText = (frames: readonly Frame[]): string => frames.map(textOf).join('');

const textOf = (frame: Frame): string => {
  switch (frame.kind) {
    case 'data':
      return `data: ${JSON.stringify(frame.payload)}\n\n`;
    case 'event':
      return sseEvent(frame.payload);
    case 'comment':
      return sseComment(frame.text);
    case 'done':
      return 'data: [DONE]\n\n';
  }
};

/** Anthropic's SDK drops events that lack the `event:` line. */
export const sseEvent = (payload: EventPayload): string =>
  `event: ${payload.type}\ndata: ${JSON.stringify(payload)}\n\n`;

export const sseComment = (comment: string): string => `: ${comment}\n\n`;
