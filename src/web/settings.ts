/** What the user may set for the conversation. */

export type TransportChoice = 'auto' | 'websocket' | 'sse';

export interface Settings {
  readonly system: string;
  /** Absent: the server's own. */
  readonly temperature?: number;
  /** Absent: as many as the context holds. */
  readonly maxTokens?: number;
  readonly transport: TransportChoice;
  /** The text of a JSON list of tools as OpenAI has them; empty: none. */
  readonly tools: string;
}

export const DEFAULT_SETTINGS: Settings = { system: '', transport: 'auto', tools: '' };

const TRANSPORTS: readonly unknown[] = ['auto', 'websocket', 'sse'] satisfies TransportChoice[];

export const isTransport = (value: unknown): value is TransportChoice => TRANSPORTS.includes(value);

/** The list of tools in a text; empty for an empty one. Undefined: it is no list in JSON. */
export const parseTools = (text: string): readonly object[] | undefined => {
  if (text.trim() === '') return [];
  try {
    const tools: unknown = JSON.parse(text);
    return Array.isArray(tools) ? (tools as object[]) : undefined;
  } catch {
    return undefined;
  }
};

/** Of what was kept earlier, perhaps by another version of the page: whatever does not fit is the default. */
export const readSettings = (kept: unknown): Settings => {
  if (typeof kept !== 'object' || kept === null) return DEFAULT_SETTINGS;
  const { system, temperature, maxTokens, transport, tools } = kept as Record<string, unknown>;
  return {
    system: typeof system === 'string' ? system : DEFAULT_SETTINGS.system,
    transport: isTransport(transport) ? transport : DEFAULT_SETTINGS.transport,
    tools: typeof tools === 'string' && parseTools(tools) !== undefined ? tools : DEFAULT_SETTINGS.tools,
    ...(typeof temperature === 'number' ? { temperature } : {}),
    ...(typeof maxTokens === 'number' ? { maxTokens } : {}),
  };
};
