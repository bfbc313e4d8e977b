/** Input items as they are listed: with the keys that clients wrote short or left out. */
import type { Item } from './response-record.ts';

export const itemResource = (item: Item): Item => {
  if (item.type === 'item_reference') return item;
  const status = item.status ?? 'completed';
  if (item.type !== 'message') return item.type === 'reasoning' ? item : { ...item, status };
  const { content } = item;
  if (typeof content !== 'string') return { ...item, status };
  const part =
    item.role === 'assistant'
      ? { type: 'output_text', text: content, annotations: [], logprobs: [] }
      : { type: 'input_text', text: content };
  return { ...item, status, content: [part] };
};
