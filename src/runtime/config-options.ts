/** Every option of the configuration: its name, what it may be, and what it is where nothing is said. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { KV_FORMATS } from '../kernels/kv-format.ts';
import { byteSize, flag, integer, isOrigin, list, text } from './config-values.ts';
import { TOOL_FORMAT_NAMES } from './output/tool-formats/index.ts';

/** The model that ships with the package. */
export const EMBEDDED_MODEL_PATH = fileURLToPath(
  new URL('../../models/embedded/firstlight-tiny.gguf', import.meta.url),
);

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/** What weights can be converted to while loading. */
const QUANTIZATIONS = ['q8_0', 'q4_0', 'q4_k'] as const;
const PRECISIONS = ['auto', 'f32', 'f16'] as const;
const TOOL_FORMATS = ['auto', 'none', ...TOOL_FORMAT_NAMES] as const;
const KV_CHOICES = ['auto', ...KV_FORMATS] as const;
const KV_FSYNC = ['always', 'interval', 'never'] as const;
/** Body fields that may name a request's session. */
export const SESSION_FIELDS = ['prompt_cache_key', 'user', 'metadata.user_id'] as const;

export interface Option<Value> {
  /** The key in the file, and the flag unless `flag` says otherwise. The variable is FIRSTLIGHT_ and the key. */
  readonly key: string;
  /** For lists: the flag that adds one element. */
  readonly flag?: string;
  /** What follows the flag in `--help`; absent: nothing, the flag is a switch. */
  readonly argument?: string;
  readonly help: string;
  readonly allowed: string;
  /** Never shown in a message. */
  readonly isSecret?: boolean;
  readonly schema: z.ZodType<Value>;
  readonly fallback: Value;
}

const option = <const Value>(definition: Option<Value>): Option<Value> => definition;
const optional = <Value>(definition: Omit<Option<Value>, 'fallback'>): Option<Value | undefined> => ({
  ...definition,
  fallback: undefined,
});

const toggle = (key: string, help: string): Option<boolean> =>
  option({ key, help, allowed: 'true or false', schema: flag, fallback: false });

/** Every option there is. Commands choose theirs by name. */
export const OPTIONS = {
  model: option({
    key: 'model',
    argument: 'MODEL',
    help: 'GGUF file, a folder with a model, ORG/NAME[:QUANT] on the hub, or scripted:FILE.json (default: the embedded model)',
    allowed: 'the path of a GGUF file or of a folder with a model, ORG/NAME[:QUANT], or scripted:FILE.json',
    schema: text,
    fallback: EMBEDDED_MODEL_PATH,
  }),
  modelId: optional({
    key: 'model-id',
    argument: 'NAME',
    help: "the model's name for clients (default: the file's name)",
    allowed: 'a name that is not empty',
    schema: text,
  }),
  host: option({
    key: 'host',
    argument: 'ADDRESS',
    help: 'address to bind (default: 127.0.0.1)',
    allowed: 'a host name or an address',
    schema: text,
    fallback: '127.0.0.1',
  }),
  port: option({
    key: 'port',
    argument: 'N',
    help: 'port to bind; 0 lets the system choose (default: 8080)',
    allowed: 'an integer from 0 to 65535',
    schema: integer(0, 65_535),
    fallback: 8080,
  }),
  context: optional({
    key: 'context',
    argument: 'TOKENS',
    help: "most tokens of prompt and answer together (default: the model's own, as far as the KV memory goes)",
    allowed: 'an integer of at least 16',
    schema: integer(16, 16_777_216),
  }),
  adapter: optional({
    key: 'adapter',
    argument: 'NAME',
    help: 'part of the name of the WebGPU adapter to use (default: the fastest)',
    allowed: "part of an adapter's name, as `firstlight doctor` prints it",
    schema: text,
  }),
  kvMemory: optional({
    key: 'kv-memory',
    argument: 'BYTES',
    help: 'bytes for the KV cache: 512MiB, 2G (default: 16 whole contexts, at most 1GiB)',
    allowed: 'a number of bytes of at least 1MiB: 536870912, 512MiB, 2G (both powers of 1024), 2GB (of 1000)',
    schema: byteSize(1024 * 1024),
  }),
  maxBatchTokens: optional({
    key: 'max-batch-tokens',
    argument: 'TOKENS',
    help: 'token budget of a step, shared by prefill and decode (default: 512)',
    allowed: 'an integer from 16 to 65536',
    schema: integer(16, 65_536),
  }),
  activations: option({
    key: 'activations',
    argument: 'TYPE',
    help: 'f32, f16 or auto: f16 where a GPU computes it (default: auto)',
    allowed: PRECISIONS.join(', '),
    schema: z.enum(PRECISIONS),
    fallback: 'auto',
  }),
  kvFormat: option({
    key: 'kv-format',
    argument: 'TYPE',
    help: "the KV cache's format: f32, f16, q8, q4, or auto: f16 where a GPU computes it, else f32 (default: auto)",
    allowed: KV_CHOICES.join(', '),
    schema: z.enum(KV_CHOICES),
    fallback: 'auto',
  }),
  kvRam: option({
    key: 'kv-ram',
    argument: 'BYTES',
    help: 'memory for KV that the pool has no room for; 0: none (default: 512MiB)',
    allowed: 'a number of bytes: 0, 536870912, 512MiB, 2G',
    schema: byteSize(0),
    fallback: 512 * 1024 * 1024,
  }),
  kvDisk: option({
    key: 'kv-disk',
    argument: 'BYTES',
    help: 'disk for KV, so that a restart or an idle week loses none; 0: nothing is written (default: 8GiB)',
    allowed: 'a number of bytes: 0, 8GiB, 50G',
    schema: byteSize(0),
    fallback: 8 * 1024 ** 3,
  }),
  kvDirectory: optional({
    key: 'kv-directory',
    argument: 'FOLDER',
    help: "where KV is kept on disk, readable by you alone (default: firstlight/kv in the user's cache folder)",
    allowed: 'the path of a folder, which need not exist yet',
    schema: text,
  }),
  kvFsync: option({
    key: 'kv-fsync',
    argument: 'WHEN',
    help: 'always: what counts as saved survives a power loss; interval: so it does a second later; never: it survives the end of the process (default: never)',
    allowed: KV_FSYNC.join(', '),
    schema: z.enum(KV_FSYNC),
    fallback: 'never',
  }),
  kvKeyFile: optional({
    key: 'kv-key-file',
    argument: 'FILE',
    help: 'encrypts KV on disk (AES-256-GCM) with the key in this file: 32 bytes, or 64 hex digits (default: plain)',
    allowed: 'the path of a file with 32 bytes or 64 hex digits',
    schema: text,
  }),
  responseBytes: option({
    key: 'response-bytes',
    argument: 'BYTES',
    help: 'stored responses of /v1/responses, beside KV on disk, or in memory where kv-disk is 0; 0: none (default: 256MiB)',
    allowed: 'a number of bytes: 0, 256MiB, 2G',
    schema: byteSize(0),
    fallback: 256 * 1024 * 1024,
  }),
  responseDays: option({
    key: 'response-days',
    argument: 'N',
    help: 'days without use after which a stored response is erased (default: 30)',
    allowed: 'an integer from 1 to 36500',
    schema: integer(1, 36_500),
    fallback: 30,
  }),
  streamBytes: option({
    key: 'stream-bytes',
    argument: 'BYTES',
    help: 'events kept of all streams that can be resumed, of one a sixteenth of it; 0: none (default: 64MiB)',
    allowed: 'a number of bytes: 0, 64MiB, 1G',
    schema: byteSize(0),
    fallback: 64 * 1024 * 1024,
  }),
  streamSeconds: option({
    key: 'stream-seconds',
    argument: 'N',
    help: 'how long such a stream goes on without a reader, and is kept when it has ended (default: 30)',
    allowed: 'an integer from 1 to 86400',
    schema: integer(1, 86_400),
    fallback: 30,
  }),
  quantize: optional({
    key: 'quantize',
    argument: 'TYPE',
    help: 'convert F32, F16 and BF16 weights while loading: q8_0, q4_0 or q4_k (default: leave them)',
    allowed: QUANTIZATIONS.join(', '),
    schema: z.enum(QUANTIZATIONS),
  }),
  chatTemplate: optional({
    key: 'chat-template',
    argument: 'FILE',
    help: "a Jinja file in place of the model's own chat template",
    allowed: 'the path of a Jinja file',
    schema: text,
  }),
  toolFormat: option({
    key: 'tool-format',
    argument: 'NAME',
    help: "how the model writes calls of tools: auto (as its chat template has it), none, or a format's name (default: auto)",
    allowed: TOOL_FORMATS.join(', '),
    schema: z.enum(TOOL_FORMATS),
    fallback: 'auto',
  }),
  maxQueue: option({
    key: 'max-queue',
    argument: 'N',
    help: 'most requests that wait for their turn; more are refused with Retry-After (default: 256)',
    allowed: 'an integer from 1 to 100000',
    schema: integer(1, 100_000),
    fallback: 256,
  }),
  apiKeys: option({
    key: 'api-keys',
    flag: 'api-key',
    argument: 'KEY',
    help: 'a key that opens the API; repeat for more (default: none, open to this machine)',
    allowed: 'keys of at least one character, without commas and white space',
    isSecret: true,
    schema: list(z.string().regex(/^[^\s,]+$/)),
    fallback: [],
  }),
  insecure: toggle('insecure', 'allow an address beyond this machine without an API key'),
  corsOrigins: option({
    key: 'cors-origins',
    flag: 'cors-origin',
    argument: 'ORIGIN',
    help: 'an origin whose pages may call the API, or *; repeat for more (default: none)',
    allowed: 'origins such as https://app.example (scheme, host and port, no path), or *',
    schema: list(z.string().refine(isOrigin)),
    fallback: [],
  }),
  sessionFields: option({
    key: 'session-fields',
    flag: 'session-field',
    argument: 'FIELD',
    help: 'a body field that names a session, or none; repeat for more, the first that a request has counts (default: all three)',
    allowed: `${SESSION_FIELDS.join(', ')}, or none`,
    schema: list(z.enum([...SESSION_FIELDS, 'none'])).transform((fields) => fields.filter((field) => field !== 'none')),
    fallback: [...SESSION_FIELDS],
  }),
  verbatimPrompts: toggle(
    'verbatim-prompts',
    'leave prompts as they come: no attribution line taken out, no tools put in the order of earlier ones',
  ),
  strict: toggle(
    'strict',
    'refuse what the vendors refuse, though it could be honoured: sampling fields in new Anthropic versions',
  ),
  keepRunning: toggle('keep-running', 'go on serving when the parent process ends (nohup, disown)'),
  logLevel: option({
    key: 'log-level',
    argument: 'LEVEL',
    help: `${LOG_LEVELS.join(', ')} (default: info)`,
    allowed: LOG_LEVELS.join(', '),
    schema: z.enum(LOG_LEVELS),
    fallback: 'info',
  }),
} as const;
