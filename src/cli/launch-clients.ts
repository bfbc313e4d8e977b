/** The coding clients that `firstlight launch` knows, and how each is told of a server and its model. */

/** A server that answers, and what a client must know of it. */
export interface LaunchTarget {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Undefined where the server asks for none. */
  readonly apiKey: string | undefined;
  readonly model: string;
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
}

export interface LaunchClient {
  readonly title: string;
  /** What is looked for on the PATH. */
  readonly command: string;
  readonly install: string;
  /** Tokens below which its own instructions and tools leave no room to work. */
  readonly minContextLength: number;
  /** Variables that the client is given; undefined takes one away. */
  environment(target: LaunchTarget): Readonly<Record<string, string | undefined>>;
  /** What goes before the user's own arguments. */
  arguments(target: LaunchTarget): readonly string[];
}

/** Clients insist on a key, servers without keys look at none. */
const NO_KEY = 'none';
const KEY_VARIABLE = 'CODEX_FIRSTLIGHT_KEY';

/** A quarter of the context for the answer; more would leave too little of it to the conversation. */
const answerShare = (contextLength: number): number => Math.floor(contextLength / 4);

/** Source: https://code.claude.com/docs/en/env-vars */
const claude: LaunchClient = {
  title: 'Claude Code',
  command: 'claude',
  install: 'npm install -g @anthropic-ai/claude-code',
  minContextLength: 32_768,
  environment: ({ url, apiKey, model, contextLength }) => ({
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_AUTH_TOKEN: apiKey ?? NO_KEY,
    // Either would win over what is above.
    ANTHROPIC_API_KEY: undefined,
    CLAUDE_CODE_USE_BEDROCK: undefined,
    CLAUDE_CODE_USE_VERTEX: undefined,
    CLAUDE_CODE_USE_FOUNDRY: undefined,
    ANTHROPIC_MODEL: model,
    ANTHROPIC_DEFAULT_OPUS_MODEL: model,
    ANTHROPIC_DEFAULT_SONNET_MODEL: model,
    ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
    ANTHROPIC_SMALL_FAST_MODEL: model,
    CLAUDE_CODE_SUBAGENT_MODEL: model,
    CLAUDE_CODE_AUTO_COMPACT_WINDOW: String(contextLength),
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(answerShare(contextLength)),
    // A line that differs in every session and that no model reads.
    CLAUDE_CODE_ATTRIBUTION_HEADER: '0',
    // What runs on this machine tells nobody of it.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  }),
  arguments: () => [],
};

/** JSON's strings are TOML's. */
const override = (key: string, value: string | number | boolean): readonly string[] => [
  '-c',
  `${key}=${JSON.stringify(value)}`,
];

/** Source: https://developers.openai.com/codex/config-reference */
const codex: LaunchClient = {
  title: 'Codex',
  command: 'codex',
  install: 'npm install -g @openai/codex',
  minContextLength: 32_768,
  environment: ({ apiKey }) => ({ [KEY_VARIABLE]: apiKey ?? NO_KEY }),
  arguments: ({ url, model, contextLength }) => [
    ...override('model', model),
    ...override('model_provider', 'firstlight'),
    ...override('model_context_window', contextLength),
    ...override('model_providers.firstlight.name', 'Firstlight'),
    ...override('model_providers.firstlight.base_url', `${url}/v1`),
    ...override('model_providers.firstlight.wire_api', 'responses'),
    ...override('model_providers.firstlight.env_key', KEY_VARIABLE),
    ...override('model_providers.firstlight.supports_websockets', true),
  ],
};

export const LAUNCH_CLIENTS = { claude, codex } as const satisfies Readonly<Record<string, LaunchClient>>;
