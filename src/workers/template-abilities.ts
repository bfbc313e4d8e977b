/** Finds out what a chat template renders, by trying. */
import type { TemplateAbilities, TemplateMessage } from './fold-messages.ts';
import { type CallForm, completeTool, fitToolTurns, type TemplateTool, type ToolAbilities } from './tool-turns.ts';

/** The rendering, or undefined where the template throws. */
export type TryRender = (messages: readonly TemplateMessage[], tools?: readonly TemplateTool[]) => string | undefined;

const turn = (role: TemplateMessage['role'], content: string): TemplateMessage => ({ role, content });

export const findAbilities = (source: string, render: TryRender): TemplateAbilities => {
  const shows = (messages: readonly TemplateMessage[]): boolean => {
    const text = render(messages);
    return text !== undefined && messages.every(({ content }) => text.includes(content ?? ''));
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
};

const call = (number: number) => ({
  id: `call_0000000${number}`,
  type: 'function' as const,
  function: { name: `find_${number}`, arguments: { key: `Value-${number}` } },
});
const result = (number: number): TemplateMessage => ({
  role: 'tool',
  content: `Result-${number}`,
  tool_call_id: call(number).id,
  name: `find_${number}`,
});
const ASK = turn('user', 'Ask-0');
const CALL: TemplateMessage = { role: 'assistant', content: '', tool_calls: [call(1)] };
const CALL_TEXTS = ['find_1', 'Value-1', 'Result-1'];
const BARE_TOOL: TemplateTool = {
  type: 'function',
  function: { name: 'find_1', parameters: { type: 'object', properties: { key_2: { type: 'string' } } } },
};
const NO_DETAILS: TemplateTool = { type: 'function', function: { name: 'find_3' } };

const FORMS: readonly CallForm[] = [false, true].flatMap((shortIds) =>
  [false, true].flatMap((textArguments) =>
    [true, false].map((nullContent) => ({ shortIds, textArguments, nullContent })),
  ),
);

export const findToolAbilities = (render: TryRender): ToolAbilities => {
  const shows = (texts: readonly string[], messages: readonly TemplateMessage[], tools?: readonly TemplateTool[]) => {
    const text = render(messages, tools) ?? '';
    return texts.every((part) => text.includes(part)) && !text.includes('[object');
  };
  const offers = (tools: readonly TemplateTool[]): boolean => shows(['find_1', 'key_2', 'find_3'], [ASK], tools);
  const tools = [BARE_TOOL, NO_DETAILS];
  const complete = offers(tools.map(completeTool)) ? 'complete' : 'none';
  const base = { parallelCalls: true, thinking: 'none' as const, results: true };
  const definitions = offers(tools) ? 'any' : complete;
  const calls = FORMS.find((form) => {
    const messages = fitToolTurns([ASK, CALL, result(1)], { ...base, definitions, calls: form });
    return shows(CALL_TEXTS, messages) && !(form.nullContent && /\b(none|null)\b/i.test(render(messages) ?? ''));
  });
  if (calls === undefined) {
    const results = shows(['Say-1', 'Result-1'], [ASK, turn('assistant', 'Say-1'), result(1)]);
    return { definitions, calls, results, parallelCalls: false, thinking: 'none' };
  }
  const fits = (texts: readonly string[], messages: readonly TemplateMessage[], rest: Partial<ToolAbilities>) =>
    shows(texts, fitToolTurns(messages, { ...base, ...rest, definitions, calls }));
  const both = { ...CALL, tool_calls: [call(1), call(2)] };
  const thoughtful = { ...CALL, reasoning_content: 'Why-1' };
  const thinks = (content: string, thinking: ToolAbilities['thinking']): boolean =>
    fits([...CALL_TEXTS, 'Why-1', content], [ASK, { ...thoughtful, content }, result(1)], { thinking });
  const showsThinking = thinks('', 'beside text') && !thinks('', 'none');
  const thinking = thinks('Say-1', 'beside text') ? 'beside text' : 'without text';
  return {
    definitions,
    calls,
    results: true,
    parallelCalls: fits([...CALL_TEXTS, 'find_2', 'Value-2', 'Result-2'], [ASK, both, result(1), result(2)], {}),
    thinking: showsThinking ? thinking : 'none',
  };
};
