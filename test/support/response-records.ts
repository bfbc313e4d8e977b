/** Stored responses whose whole content follows from their name. */
import { createHash } from 'node:crypto';
import type { ResponseRecord } from '../../src/server/responses/response-record.ts';

export const textOf = (id: string, length: number): string =>
  createHash('sha256')
    .update(id)
    .digest('hex')
    .repeat(Math.ceil(length / 64))
    .slice(0, length);

export const recordOf = (
  id: string,
  { previousId, length = 100 }: { previousId?: string | undefined; length?: number } = {},
): ResponseRecord => ({
  response: {
    id,
    object: 'response',
    status: 'completed',
    output: [{ id: `msg_${id}`, type: 'message', role: 'assistant', content: textOf(id, length) }],
  },
  input: [{ id: `msg_in_${id}`, type: 'message', role: 'user', content: `secret ${id}` }],
  previousId,
});
