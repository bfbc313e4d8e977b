/** Server-sent events: compact JSON on one `data:` line, LF, blank line. Source: WHATWG HTML §9.2. */

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export const dataFrame = (payload: object): string => `data: ${JSON.stringify(payload)}\n\n`;

/** Anthropic's SDK drops events that lack the `event:` line. */
export const eventFrame = (payload: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${payload.type}\n${dataFrame(payload)}`;

export const commentFrame = (comment: string): string => `: ${comment}\n\n`;
