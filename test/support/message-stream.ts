/** Anthropic's stream of events, held to the rules that its clients rely on, and put together as they do. */
import { expect } from 'vitest';

interface StreamEvent {
  readonly type: string;
  readonly index: number;
  readonly message: StreamedMessage;
  readonly content_block: StreamedBlock;
  readonly delta: Readonly<Record<string, string | null>>;
  readonly usage: Readonly<Record<string, number>>;
}

export interface StreamedBlock {
  readonly type: 'text' | 'thinking' | 'tool_use';
  text?: string;
  thinking?: string;
  signature?: string;
  readonly name?: string;
  readonly id?: string;
  /** A call's arguments as they came, in place of its `input`. */
  json?: string;
}

export interface StreamedMessage {
  readonly content: StreamedBlock[];
  readonly stop_reason: string | null;
  readonly stop_sequence: string | null;
  readonly usage: Readonly<Record<string, number>>;
}

/** The delta that each kind of block takes, and the field that it goes on with. */
const DELTAS: Readonly<
  Record<StreamedBlock['type'], Readonly<Record<string, readonly [delta: string, field: string]>>>
> = {
  text: { text_delta: ['text', 'text'] },
  thinking: { thinking_delta: ['thinking', 'thinking'], signature_delta: ['signature', 'signature'] },
  tool_use: { input_json_delta: ['partial_json', 'json'] },
};
const COUNTS = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'];

/** @param events of a stream that ends well, each with the name that it came under */
export const readMessageStream = (events: readonly (readonly [name: string, data: unknown])[]): StreamedMessage => {
  const all = events.map(([name, data]) => {
    expect((data as StreamEvent).type).toBe(name);
    return data as StreamEvent;
  });
  expect(all.slice(0, 2).map(({ type }) => type)).toEqual(['message_start', 'ping']);
  expect(all.slice(-2).map(({ type }) => type)).toEqual(['message_delta', 'message_stop']);
  const { message } = all[0]!;
  expect(message).toMatchObject({ content: [], stop_reason: null, usage: { output_tokens: 0 } });
  const content = readBlocks(all.slice(1, -2).filter(({ type }) => type !== 'ping'));
  const { delta, usage } = all.at(-2)!;
  for (const count of COUNTS) expect([count, usage[count]]).toEqual([count, message.usage[count]]);
  return { ...message, ...delta, content, usage: { ...message.usage, ...usage } };
};

/** Contiguous, and one open at a time. */
const readBlocks = (events: readonly StreamEvent[]): StreamedBlock[] => {
  const blocks: StreamedBlock[] = [];
  let open: StreamedBlock | undefined;
  for (const { type, index, content_block: block, delta } of events) {
    expect(index).toBe(type === 'content_block_start' ? blocks.length : blocks.length - 1);
    if (type === 'content_block_start') {
      expect(open).toBeUndefined();
      open = { ...block, ...(block.type === 'tool_use' ? { json: '' } : {}) };
      blocks.push(open);
    } else if (type === 'content_block_delta') continueBlock(open, delta);
    else {
      expect(type).toBe('content_block_stop');
      // Of several signatures clients keep the last: there is one, and it is not empty.
      if (open?.type === 'thinking') expect(open.signature).toMatch(/./);
      open = undefined;
    }
  }
  expect(open).toBeUndefined();
  return blocks;
};

const continueBlock = (block: StreamedBlock | undefined, delta: StreamEvent['delta']): void => {
  const [from, to] = DELTAS[block?.type ?? 'text'][delta.type ?? ''] ?? [];
  if (block === undefined || from === undefined) throw new Error(`a ${delta.type} came in a block of ${block?.type}`);
  const fields = block as unknown as Record<string, string>;
  // A thought is signed once, when it is whole.
  if (block.type === 'thinking') expect(block.signature).toBe('');
  fields[to!] += delta[from] ?? '';
};
