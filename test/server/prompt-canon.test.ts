/** What is taken out of prompts so that the cache finds what it has; everything else stays. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatMessage, ChatPrompt, ToolDefinition } from '../../src/runtime/api.ts';
import { PromptCanon } from '../../src/server/prompt-canon.ts';
import { post, type Script, serve } from '../support/serve.ts';

const ATTRIBUTION = 'x-anthropic-billing-header: cc_version=2.1; cch=ab12c;';

const chat = (...messages: ChatMessage[]): ChatPrompt => ({ kind: 'chat', messages, continueFinalMessage: false });
const system = (content: ChatMessage['content']): ChatMessage => ({ role: 'system', content });
const user = (content: string): ChatMessage => ({ role: 'user', content });
const messagesOf = (...messages: ChatMessage[]) =>
  (new PromptCanon(true).apply('', chat(...messages)) as ChatPrompt).messages;

describe('the attribution line', () => {
  test('goes from the beginning of the first system message, and takes an empty one with it', () => {
    for (const text of [`${ATTRIBUTION}\nBe brief.`, `${ATTRIBUTION}\n\nBe brief.`])
      expect(messagesOf(system(text), user('hi'))).toEqual([system('Be brief.'), user('hi')]);
    expect(messagesOf(system(ATTRIBUTION), user('hi'))).toEqual([user('hi')]);
    const part = (text: string) => ({ type: 'text' as const, text });
    expect(messagesOf(system([part(ATTRIBUTION), part('Be brief.')]))).toEqual([system([part('Be brief.')])]);
    expect(messagesOf(system([part(`${ATTRIBUTION}\nA`), part('B')]))).toEqual([system([part('A'), part('B')])]);
    expect(messagesOf(system([part(ATTRIBUTION)]), user('hi'))).toEqual([user('hi')]);
  });

  test('stays everywhere else', () => {
    const kept = [system(`First.\n${ATTRIBUTION}`), user(ATTRIBUTION), system(ATTRIBUTION), system('')];
    for (const message of kept) expect(messagesOf(system('Be brief.'), message)).toContainEqual(message);
    expect(messagesOf(user(`${ATTRIBUTION}\nhi`))).toEqual([user(`${ATTRIBUTION}\nhi`)]);
    expect(messagesOf(system(''), user('hi'))).toEqual([system(''), user('hi')]);
  });

  test('makes no difference to the prompt, nor to what is found of it', async () => {
    const script: Script = { replies: [{ tokens: ['ok'] }] };
    const messages = (cch: string) => ({
      model: 'scripted',
      max_tokens: 8,
      system: `x-anthropic-billing-header: cch=${cch};\nYou are a helpful programmer, and you know it.`,
      messages: [{ role: 'user', content: 'hi' }],
    });
    const { url } = await serve(script);
    const usageOf = async (base: string, cch: string) =>
      ((await post(`${base}/v1/messages`, messages(cch))).body as { usage: Record<string, number> }).usage;
    await usageOf(url, 'a1');
    const second = await usageOf(url, 'b2');
    expect(second.input_tokens).toBe(1);
    const counted = await post(`${url}/v1/messages/count_tokens`, messages('c3'));
    expect(counted.body).toEqual({ input_tokens: second.input_tokens! + second.cache_read_input_tokens! });
    const verbatim = await serve(script, { verbatimPrompts: true });
    await usageOf(verbatim.url, 'd4');
    expect(await usageOf(verbatim.url, 'e5')).toMatchObject({ cache_read_input_tokens: 32 });
  });
});

describe('tools', () => {
  const toolsOf = (canon: PromptCanon, tools: readonly ToolDefinition[], owner = '') =>
    (canon.apply(owner, { ...chat(user('hi')), tools }) as ChatPrompt).tools;
  /** The same value with all keys of its objects the other way round. */
  const turned = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turned);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, turned(inner)]),
    );
  };
  const tool = fc.record({
    name: fc.string({ minLength: 1, maxLength: 8 }),
    description: fc.string({ maxLength: 8 }),
    parameters: fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(fc.string({ minLength: 1, maxLength: 4 }), fc.constantFrom({ type: 'string' }, {})),
      required: fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }),
    }),
  });

  test('of the same set are shown as they were first, whatever their order and that of their keys', () => {
    fc.assert(
      fc.property(fc.array(tool, { maxLength: 5 }), (tools) => {
        const canon = new PromptCanon(true);
        expect(JSON.stringify(toolsOf(canon, tools))).toBe(JSON.stringify(tools));
        const other = turned([...tools].reverse()) as ToolDefinition[];
        expect(JSON.stringify(toolsOf(canon, other))).toBe(JSON.stringify(tools));
        // Nobody else's form is told by it.
        expect(JSON.stringify(toolsOf(canon, other, 'bob'))).toBe(JSON.stringify(other));
        expect(JSON.stringify(toolsOf(new PromptCanon(false), other))).toBe(JSON.stringify(other));
      }),
    );
  });

  test('of another set are shown as they come, and lists within them keep their order', () => {
    const canon = new PromptCanon(true);
    const find = (required: string[]) => ({ name: 'find', parameters: { type: 'object', required } });
    toolsOf(canon, [find(['a', 'b'])]);
    expect(toolsOf(canon, [find(['b', 'a'])])).toEqual([find(['b', 'a'])]);
    expect(toolsOf(canon, [find(['a', 'b']), find([])])).toEqual([find(['a', 'b']), find([])]);
  });
});
