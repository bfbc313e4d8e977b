/** The events of a response that has ended, told once more: each text in one piece. */
import type { Item, ResponseObject } from '../responses/response-record.ts';
import type { EventPayload, Frame } from './dialect.ts';

interface Part {
  readonly type: string;
  readonly text?: string;
  readonly logprobs?: readonly unknown[];
}

/**
 * Numbered as a stream of their own.
 * @param startingAfter the number of the last event that is left out; the one that ends the response never is
 */
export const replayedFrames = (response: ResponseObject, startingAfter = -1): readonly Frame[] => {
  const opening = { ...response, status: 'in_progress', output: [], usage: null, completed_at: null, error: null };
  const begun = { ...opening, incomplete_details: null };
  const events: readonly EventPayload[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    ...response.output.flatMap(eventsOfItem),
    { type: TERMINALS[String(response.status)] ?? 'response.completed', response },
  ];
  const numbered = events.map(
    ({ type, ...fields }, index): Frame => ({
      kind: 'event',
      payload: { type, sequence_number: index, ...fields },
    }),
  );
  return [...numbered.slice(Math.min(startingAfter + 1, numbered.length - 1)), { kind: 'done' }];
};

const TERMINALS: Readonly<Record<string, string>> = {
  failed: 'response.failed',
  incomplete: 'response.incomplete',
  cancelled: 'response.incomplete',
};

const eventsOfItem = (item: Item, outputIndex: number): readonly EventPayload[] => {
  const place = { item_id: item.id, output_index: outputIndex };
  return [
    { type: 'response.output_item.added', output_index: outputIndex, item: emptied(item) },
    ...insideOf(item, place),
    { type: 'response.output_item.done', output_index: outputIndex, item },
  ];
};

const emptied = (item: Item): Item => {
  const begun = { ...item, status: 'in_progress' };
  switch (item.type) {
    case 'function_call':
      return { ...begun, arguments: '' };
    case 'custom_tool_call':
      return { ...begun, input: '' };
    case 'reasoning': {
      const { encrypted_content: _, ...open } = begun as Item & { encrypted_content?: unknown };
      return { ...open, summary: [], content: [] };
    }
    default:
      return { ...begun, content: [] };
  }
};

const insideOf = (item: Item, place: object): readonly EventPayload[] => {
  switch (item.type) {
    case 'function_call':
      return [
        { type: 'response.function_call_arguments.delta', ...place, delta: item.arguments },
        { type: 'response.function_call_arguments.done', ...place, name: item.name, arguments: item.arguments },
      ];
    case 'custom_tool_call':
      return [
        { type: 'response.custom_tool_call_input.delta', ...place, delta: item.input },
        { type: 'response.custom_tool_call_input.done', ...place, input: item.input },
      ];
    default:
      return [
        ...partsOf(item.content).flatMap((part, index) => eventsOfPart(part, { ...place, content_index: index })),
        ...partsOf(item.summary).flatMap((part, index) => eventsOfSummary(part, { ...place, summary_index: index })),
      ];
  }
};

const partsOf = (content: unknown): readonly Part[] => (Array.isArray(content) ? (content as Part[]) : []);

const eventsOfPart = (part: Part, place: object): readonly EventPayload[] => {
  const { text = '', logprobs } = part;
  const name = part.type === 'reasoning_text' ? 'response.reasoning_text' : 'response.output_text';
  const chosen = logprobs === undefined ? {} : { logprobs };
  const empty = { ...part, text: '', ...(logprobs === undefined ? {} : { logprobs: [] }) };
  return [
    { type: 'response.content_part.added', ...place, part: empty },
    { type: `${name}.delta`, ...place, delta: text, ...chosen },
    { type: `${name}.done`, ...place, text, ...chosen },
    { type: 'response.content_part.done', ...place, part },
  ];
};

const eventsOfSummary = (part: Part, place: object): readonly EventPayload[] => {
  const { text = '' } = part;
  return [
    { type: 'response.reasoning_summary_part.added', ...place, part: { ...part, text: '' } },
    { type: 'response.reasoning_summary_text.delta', ...place, delta: text },
    { type: 'response.reasoning_summary_text.done', ...place, text },
    { type: 'response.reasoning_summary_part.done', ...place, part },
  ];
};
