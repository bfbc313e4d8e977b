/** Models: one body that both vendors' SDKs read; and the events of a download. */
import { z } from 'zod';

const length = z.int().nullable().describe('Tokens; null where the file does not tell.');

export const model = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    type: z.literal('model'),
    created: z.int().describe('Unix seconds.'),
    created_at: z.iso.datetime(),
    owned_by: z.literal('firstlight'),
    display_name: z.string(),
    max_input_tokens: length,
    max_tokens: length,
    capabilities: z.null(),
    deprecated_at: z.null(),
    lifecycle: z.literal('active'),
    line: z.null(),
    retires_at: z.null(),
    context_length: length,
    served: z.boolean().describe('Whether requests are answered by it.'),
    tasks: z
      .array(z.enum(['generate', 'embed']))
      .optional()
      .describe('Of the served model.'),
    embedding: z
      .object({ size: z.int(), pooling: z.enum(['mean', 'cls', 'last']) })
      .optional()
      .describe('Of a served model that makes embeddings: their length, and what they are made of.'),
    format: z.enum(['gguf', 'safetensors']).optional().describe('Of an installed model.'),
    size_bytes: z.int().optional().describe('Of all files of an installed model.'),
    error: z
      .object({ code: z.string(), message: z.string() })
      .optional()
      .describe('Why an installed model cannot be read, or cannot run.'),
  })
  .describe('A model that is served or installed.');

export const modelList = z.object({
  object: z.literal('list'),
  data: z.array(model).describe('The served model first.'),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean(),
  models: z.array(z.never()).optional().describe('With `client_version`: always empty.'),
});

export const modelsRemoved = z.object({
  deleted: z.array(z.string()).describe('All models that lay in the same files.'),
  freedBytes: z.int(),
});

export const pullProgressEvent = z.object({
  type: z.literal('progress'),
  phase: z.enum(['fetch', 'check']),
  file: z.string().describe('The one at work.'),
  bytes: z.int().describe('Of all files together; what earlier attempts left is counted.'),
  checkedBytes: z.int(),
  total: z.int(),
  bytesPerSecond: z.int().nullable().describe('Of the last seconds.'),
});

export const pullDoneEvent = z.object({ type: z.literal('done'), model });

export const pullErrorEvent = z.object({ type: z.literal('error'), code: z.string(), message: z.string() });

export const pullEvent = z
  .discriminatedUnion('type', [pullProgressEvent, pullDoneEvent, pullErrorEvent])
  .describe('One event of the stream, whose name is its type. `done` or `error` is the last.');
