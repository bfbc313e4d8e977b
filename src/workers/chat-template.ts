/**
 * Renders conversations with a model's own chat template. Templates come with model files and are not trusted: they see
 * plain values only, and run under a time limit. What a template can render is found out by trying it once.
 */
import { Template } from '@huggingface/jinja';
import type { ChatMessage, ChatPrompt } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { foldMessages, type TemplateAbilities, type TemplateMessage } from './fold-messages.ts';
import { type GuardedTokens, PlainText } from './plain-text.ts';
import { withTimeLimit } from './time-limit.ts';
import type { Segment } from './tokenizer/special-tokens.ts';

export interface RenderedChat {
  readonly segments: readonly Segment[];
  /** The prompt ends inside a reasoning block. */
  readonly reasoningOpened: boolean;
}

export interface ChatTemplateTokens {
  readonly bosText: string;
  readonly eosText: string;
  readonly guarded: GuardedTokens;
}

type Variables = Record<string, unknown>;

const RENDER_LIMIT_MS = 2000;
/** Where the message to be continued ends: no character, so in no text, yet no white space that a template would trim. */
const END_MARK = '\ufdd0';
const OPEN_REASONING = /<think>\s*$/;

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: ChatTemplateTokens;
  readonly #plainText: PlainText;
  readonly #tools: undefined | readonly [];
  readonly #abilities: TemplateAbilities;

  /** @throws EngineError model_unsupported when the template cannot be read or does not end */
  constructor(source: string, tokens: ChatTemplateTokens) {
    this.#tokens = tokens;
    this.#plainText = new PlainText(tokens.guarded);
    try {
      this.#template = limited(() => new Template(source));
    } catch (cause) {
      throw unusable(cause);
    }
    const greeting: TemplateMessage[] = [{ role: 'user', content: 'Hello' }];
    // Templates made for tools alone iterate over them unasked.
    const needsTools = this.#try(greeting, undefined) === undefined && this.#try(greeting, []) !== undefined;
    this.#tools = needsTools ? [] : undefined;
    this.#abilities = this.#findAbilities(source);
  }

  /** @throws EngineError invalid_request (param `messages`) when the template refuses the conversation */
  render(prompt: ChatPrompt): RenderedChat {
    const { messages, templateArguments, restore } = this.#plainText.protect({
      messages: prompt.messages.map(templateMessage),
      templateArguments: prompt.templateArguments ?? {},
    });
    const folded = foldMessages(messages, this.#abilities);
    const variables: Variables = { ...templateArguments };
    if (prompt.enableThinking !== undefined) variables.enable_thinking = prompt.enableThinking;
    if (prompt.reasoningEffort !== undefined) variables.reasoning_effort = prompt.reasoningEffort;
    try {
      const text = prompt.continueFinalMessage
        ? this.#continued(folded, variables)
        : this.#render(folded, { ...variables, add_generation_prompt: true });
      const continued = prompt.continueFinalMessage ? (folded.at(-1)?.content ?? '') : '';
      const reasoningOpened = OPEN_REASONING.test(text) || isWithinReasoning(continued);
      return { segments: restore(text), reasoningOpened };
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const refusal = `the model's chat template refuses these messages: ${reason}`;
      throw new EngineError('invalid_request', refusal, { param: 'messages' }, { cause });
    }
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
    const marked = [...messages.slice(0, -1), { ...last, content: last.content + END_MARK }];
    const text = this.#render(marked, { ...variables, add_generation_prompt: false });
    const end = text.lastIndexOf(END_MARK);
    if (end >= 0) return text.slice(0, end).replaceAll(END_MARK, '');
    const refusal = "the model's chat template leaves the last message out, so it cannot be continued";
    throw new EngineError('invalid_request', refusal, { param: 'messages' });
  }

  #render(messages: readonly TemplateMessage[], variables: Variables, tools = this.#tools): string {
    const { bosText, eosText } = this.#tokens;
    const items: Variables = { ...variables, messages, bos_token: bosText, eos_token: eosText };
    if (tools) items.tools = tools;
    return limited(() => this.#template.render(items));
  }

  /** The rendering, or undefined where the template throws. */
  #try(messages: readonly TemplateMessage[], tools = this.#tools): string | undefined {
    try {
      return this.#render(messages, { add_generation_prompt: true }, tools);
    } catch (error) {
      if (error instanceof EngineError) throw error;
      return undefined;
    }
  }

  #findAbilities(source: string): TemplateAbilities {
    const turn = (role: TemplateMessage['role'], content: string): TemplateMessage => ({ role, content });
    const shows = (messages: readonly TemplateMessage[]): boolean => {
      const text = this.#try(messages);
      return text !== undefined && messages.every(({ content }) => text.includes(content));
    };
    const later = [turn('user', 'Ask-1'), turn('assistant', 'Say-2'), turn('system', 'Rule-3'), turn('user', 'Ask-4')];
    const system = shows([turn('system', 'Rule-1'), turn('user', 'Ask-2')]);
    return {
      // A template that prints any role's name knows no developer: the model never saw one.
      developer: source.includes('developer') && shows([turn('developer', 'Rule-1'), turn('user', 'Ask-2')]),
      system,
      laterSystem:
        system && shows(later) && shows([turn('system', 'Rule-1'), turn('system', 'Rule-2'), turn('user', 'Ask-3')]),
      repeatedRole: shows([turn('user', 'Ask-1'), turn('user', 'Ask-2')]),
    };
  }
}

/** True when an answer so far has opened a reasoning block and not closed it. */
const isWithinReasoning = (answer: string): boolean => answer.lastIndexOf('<think>') > answer.lastIndexOf('</think>');

/** A message's parts as one text. */
export const contentText = (content: ChatMessage['content']): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('');

const templateMessage = ({ role, content, reasoning, name }: ChatMessage): TemplateMessage => ({
  role,
  content: contentText(content),
  ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
  ...(name === undefined ? {} : { name }),
});

const limited = <Value>(work: () => Value): Value =>
  withTimeLimit(
    work,
    RENDER_LIMIT_MS,
    () =>
      new EngineError(
        'model_unsupported',
        `the model's chat template ran longer than ${RENDER_LIMIT_MS} ms and was stopped; use /v1/completions`,
      ),
  );

const unusable = (cause: unknown): EngineError => {
  if (cause instanceof EngineError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EngineError('model_unsupported', `the model's chat template cannot be read: ${reason}`, {}, { cause });
};
