/** The event objects of both dialects, and the bodies that ask for them, as far as programs usually look at them. */

/** A body of `POST /v1/chat/completions`; `stream` is implied. */
export interface ChatBody {
  readonly model: string;
  readonly messages: readonly object[];
  readonly [field: string]: unknown;
}

/** A body of `POST /v1/messages`; `stream` is implied. */
export interface MessagesBody {
  readonly model: string;
  readonly max_tokens: number;
  readonly messages: readonly object[];
  readonly [field: string]: unknown;
}

export interface ChatToolCallDelta {
  readonly index: number;
  /** With the first piece of a call, as `type` and `function.name` are. */
  readonly id?: string;
  readonly type?: 'function';
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

export interface ChatChoice {
  readonly index: number;
  readonly delta: {
    readonly role?: 'assistant';
    readonly content?: string | null;
    readonly reasoning_content?: string;
    readonly reasoning?: string;
    readonly tool_calls?: readonly ChatToolCallDelta[];
  };
  readonly finish_reason: 'stop' | 'length' | 'tool_calls' | null;
  readonly logprobs?: object | null;
}

export interface ChatUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens: number };
}

/** What a program may want to know of an answer that is none the worse for it. */
export interface ChatWarning {
  readonly code: string;
  readonly message: string;
}

/** An event of OpenAI's Chat Completions. */
export interface ChatChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly ChatChoice[];
  readonly usage?: ChatUsage | null;
  /** Firstlight's own; with a choice's last event. */
  readonly warnings?: readonly ChatWarning[];
}

export interface MessageUsage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_creation_input_tokens: number | null;
  readonly cache_read_input_tokens: number | null;
}

export type MessageBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: object };

export type MessageDelta =
  | { readonly type: 'text_delta'; readonly text: string }
  | { readonly type: 'thinking_delta'; readonly thinking: string }
  | { readonly type: 'signature_delta'; readonly signature: string }
  | { readonly type: 'input_json_delta'; readonly partial_json: string };

export type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'model_context_window_exceeded';

/** An event of Anthropic's Messages. */
export type MessageEvent =
  | {
      readonly type: 'message_start';
      readonly message: { readonly id: string; readonly model: string; readonly usage: MessageUsage };
    }
  | { readonly type: 'content_block_start'; readonly index: number; readonly content_block: MessageBlock }
  | { readonly type: 'content_block_delta'; readonly index: number; readonly delta: MessageDelta }
  | { readonly type: 'content_block_stop'; readonly index: number }
  | {
      readonly type: 'message_delta';
      readonly delta: { readonly stop_reason: StopReason | null; readonly stop_sequence: string | null };
      readonly usage: MessageUsage;
    }
  | { readonly type: 'message_stop' }
  | { readonly type: 'ping' };
