/**
 * Renders conversations with a model's own chat template. What a template can render is found out by trying it once.
 */
import type { ChatMessage, ChatPrompt, ToolDefinition } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { foldMessages, type TemplateAbilities, type TemplateMessage } from './fold-messages.ts';
import { JinjaTemplate, TemplateRefusal } from './jinja-template.ts';
import { dropsThoughts, keepThoughts } from './keep-thoughts.ts';
import { type GuardedTokens, PlainText } from './plain-text.ts';
import { findAbilities, findToolAbilities, type TryRender } from './template-abilities.ts';
import type { Segment } from './tokenizer/special-tokens.ts';
import { toolPrompt, wantsToolPrompt } from './tool-prompt.ts';
import { completeTool, fitToolTurns, type TemplateTool, type ToolAbilities } from './tool-turns.ts';

export interface RenderedChat {
  readonly segments: readonly Segment[];
  /** The prompt ends inside a reasoning block. */
  readonly reasoningOpened: boolean;
  /** False: thinking was turned off, or is off where nothing is said of it. */
  readonly mayReason: boolean;
}

export interface ChatTemplateTokens {
  readonly bosText: string;
  readonly eosText: string;
  readonly guarded: GuardedTokens;
}

type Variables = Record<string, unknown>;

/** What a template is given to render. */
interface TemplateConversation {
  readonly messages: readonly TemplateMessage[];
  readonly tools: readonly TemplateTool[];
}

/** Where the message to be continued ends: no character, so in no text, yet no white space that a template would trim. */
const END_MARK = '\ufdd0';
const GREETING: readonly TemplateMessage[] = [{ role: 'user', content: 'Hello' }];
const OPEN_REASONING = /<think>\s*$/;

export class ChatTemplate {
  readonly #source: string;
  readonly #template: JinjaTemplate;
  readonly #tokens: ChatTemplateTokens;
  readonly #plainText: PlainText;
  readonly #defaults: Variables;
  readonly #abilities: TemplateAbilities;
  #toolAbilities: ToolAbilities | undefined;
  #losesThoughts: boolean | undefined;
  #thinksUnasked: boolean | undefined;

  /** @throws EngineError model_unsupported when the template cannot be read or does not end */
  constructor(source: string, tokens: ChatTemplateTokens) {
    this.#source = source;
    this.#tokens = tokens;
    this.#plainText = new PlainText(tokens.guarded);
    this.#template = new JinjaTemplate(source);
    // Templates made for tools alone iterate over them unasked.
    this.#defaults = {};
    const needsTools = this.#try(GREETING) === undefined && this.#try(GREETING, []) !== undefined;
    if (needsTools) this.#defaults = { tools: [] };
    this.#abilities = findAbilities(source, this.#try);
  }

  /**
   * @throws EngineError invalid_request when the template refuses the conversation (param `messages`), the caller's
   * variables for it (`chat_template_kwargs`), or has no place for tools (`tools`)
   * @throws EngineError model_unsupported for mistakes in the template
   */
  render(prompt: ChatPrompt): RenderedChat {
    const { restore, templateArguments, ...given } = this.#plainText.protect({
      messages: prompt.messages.map(templateMessage),
      tools: (prompt.tools ?? []).map(templateTool),
      templateArguments: prompt.templateArguments ?? {},
    });
    const { messages, tools } = this.#tell(given);
    const fitted = this.#fit(messages, prompt.verbatim ?? false);
    const variables: Variables = {};
    if (tools.length > 0) variables.tools = this.#fitTools(tools);
    if (prompt.enableThinking !== undefined) variables.enable_thinking = prompt.enableThinking;
    if (prompt.reasoningEffort !== undefined) variables.reasoning_effort = prompt.reasoningEffort;
    const write = (values: Variables): string =>
      prompt.continueFinalMessage
        ? this.#continued(fitted, values)
        : this.#render(fitted, { ...values, add_generation_prompt: true });
    try {
      const text = write({ ...templateArguments, ...variables });
      const continued = prompt.continueFinalMessage ? (fitted.at(-1)?.content ?? '') : '';
      const reasoningOpened = OPEN_REASONING.test(text) || isWithinReasoning(continued);
      const thinking = prompt.enableThinking ?? prompt.templateArguments?.enable_thinking;
      const mayReason = reasoningOpened || (typeof thinking === 'boolean' ? thinking : this.#mayThinkUnasked());
      return { segments: restore(text), reasoningOpened, mayReason };
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      const hasArguments = Object.keys(templateArguments).length > 0;
      if (hasArguments && succeeds(() => write(variables))) throw argumentsRefused(cause);
      // A template that refuses every conversation does not mean this one.
      const meansMessages = cause instanceof TemplateRefusal && this.#try(GREETING) !== undefined;
      throw meansMessages ? messagesRefused(cause) : templateFails(cause);
    }
  }

  /** Puts tools into the messages where the model wants to be told of them so. */
  #tell(given: TemplateConversation): TemplateConversation {
    const { messages, tools } = given;
    const saysTools = tools.length > 0 || messages.some(({ role, tool_calls: calls }) => role === 'tool' || calls);
    if (!saysTools || !wantsToolPrompt(this.#source) || this.#tools().definitions !== 'none') return given;
    return { messages: toolPrompt(messages, tools), tools: [] };
  }

  #fit(messages: readonly TemplateMessage[], verbatim: boolean): readonly TemplateMessage[] {
    const folded = foldMessages(messages, this.#abilities, verbatim);
    const hasResults = messages.some(({ role }) => role === 'tool');
    if (!hasResults && messages.every(({ tool_calls: calls }) => calls === undefined)) return folded;
    if (!hasResults || this.#tools().results) {
      const kept = verbatim || !this.#dropsThoughts() ? folded : keepThoughts(folded);
      return fitToolTurns(kept, this.#tools());
    }
    const refusal = "the model's chat template has no place for messages of role tool; use a model made for tools";
    throw new EngineError('invalid_request', refusal, { param: 'messages' });
  }

  #fitTools(tools: readonly TemplateTool[]): readonly TemplateTool[] {
    const { definitions } = this.#tools();
    if (definitions !== 'none') return definitions === 'any' ? tools : tools.map(completeTool);
    const refusal = "the model's chat template has no place for tools; leave them out, or use a model made for tools";
    throw new EngineError('invalid_request', refusal, { param: 'tools' });
  }

  /** Found out when tools first come up. */
  #tools(): ToolAbilities {
    this.#toolAbilities ??= findToolAbilities(this.#try);
    return this.#toolAbilities;
  }

  #dropsThoughts(): boolean {
    this.#losesThoughts ??= dropsThoughts(this.#source, (messages) => this.#try(fitToolTurns(messages, this.#tools())));
    return this.#losesThoughts;
  }

  /** Found out by its switch: a model that has none thinks as it likes. */
  #mayThinkUnasked(): boolean {
    const greeted = (variables: Variables) => {
      try {
        return this.#render(GREETING, { add_generation_prompt: true, ...variables });
      } catch {
        return undefined;
      }
    };
    this.#thinksUnasked ??=
      greeted({}) !== greeted({ enable_thinking: false }) || greeted({}) === greeted({ enable_thinking: true });
    return this.#thinksUnasked;
  }

  /** Everything up to the end of the last message's text: its turn stays open. */
  #continued(messages: readonly TemplateMessage[], variables: Variables): string {
    const last = messages.at(-1);
    if (last?.role !== 'assistant') {
      const found = last ? `role is ${last.role}` : 'list is empty';
      throw new EngineError(
        'invalid_request',
        `the last message must be the assistant's to be continued: its ${found}`,
        {
          param: 'messages',
        },
      );
    }
    const marked = [...messages.slice(0, -1), { ...last, content: (last.content ?? '') + END_MARK }];
    const text = this.#render(marked, { ...variables, add_generation_prompt: false });
    const end = text.lastIndexOf(END_MARK);
    if (end >= 0) return text.slice(0, end).replaceAll(END_MARK, '');
    const refusal = "the model's chat template leaves the last message out, so it cannot be continued";
    throw new EngineError('invalid_request', refusal, { param: 'messages' });
  }

  #render(messages: readonly TemplateMessage[], variables: Variables): string {
    const { bosText, eosText } = this.#tokens;
    const tokens: Variables = { bos_token: bosText, eos_token: eosText };
    return this.#template.render({ ...this.#defaults, ...variables, ...tokens, messages });
  }

  readonly #try: TryRender = (messages, tools) => {
    try {
      return this.#render(messages, { add_generation_prompt: true, ...(tools === undefined ? {} : { tools }) });
    } catch (error) {
      if (error instanceof EngineError) throw error;
      return undefined;
    }
  };
}

/** True when an answer so far has opened a reasoning block and not closed it. */
const isWithinReasoning = (answer: string): boolean => answer.lastIndexOf('<think>') > answer.lastIndexOf('</think>');

/** A message's parts as one text. */
export const contentText = (content: ChatMessage['content']): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('');

const templateMessage = ({ role, content, reasoning, name, toolCalls, toolCallId }: ChatMessage): TemplateMessage => ({
  role,
  content: contentText(content),
  ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
  ...(name === undefined ? {} : { name }),
  // Templates ask whether there are calls by asking whether the key is there.
  ...(toolCalls === undefined || toolCalls.length === 0
    ? {}
    : { tool_calls: toolCalls.map(({ id, ...called }) => ({ id, type: 'function', function: called })) }),
  ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
});

/** With the keys in the order that models were trained on. */
const templateTool = ({ name, description, parameters }: ToolDefinition): TemplateTool => ({
  type: 'function',
  function: {
    name,
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
  },
});

const succeeds = (work: () => unknown): boolean => {
  try {
    work();
    return true;
  } catch {
    return false;
  }
};

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

const messagesRefused = (cause: unknown): EngineError => {
  const refusal = `the model's chat template refuses these messages: ${reasonOf(cause)}`;
  return new EngineError('invalid_request', refusal, { param: 'messages' }, { cause });
};

const argumentsRefused = (cause: unknown): EngineError => {
  const refusal = `the model's chat template cannot use these chat_template_kwargs: ${reasonOf(cause)}`;
  return new EngineError('invalid_request', refusal, { param: 'chat_template_kwargs' }, { cause });
};

const templateFails = (cause: unknown): EngineError => {
  const remedy = 'start the server with another (--chat-template FILE), or use /v1/completions';
  const failure = `the model's chat template fails: ${reasonOf(cause)}; ${remedy}`;
  return new EngineError('model_unsupported', failure, {}, { cause });
};
