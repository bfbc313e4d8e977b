/** What the dialects make of a request before any engine sees it. */
import { describe, expect, test } from 'vitest';
import {
  chat,
  completionRequests,
  first,
  MODEL,
  message,
  messagePrompt,
  chatPrompt as prompt,
  requestsOf,
  user,
} from '../support/parse.ts';

describe('/v1/chat/completions', () => {
  test('keeps roles, names, parts and earlier reasoning', () => {
    const messages = [
      { role: 'system', content: 'a' },
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'b' },
          { type: 'text', text: 'c' },
        ],
      },
      { role: 'user', content: 'd', name: 'ann' },
      { role: 'assistant', content: null, refusal: 'no', reasoning: 'hm' },
      { role: 'system', content: 'e' },
      { role: 'user', content: 'f' },
    ];
    expect(prompt({ messages }).messages).toEqual([
      { role: 'system', content: 'a' },
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'b' },
          { type: 'text', text: 'c' },
        ],
      },
      { role: 'user', content: 'd', name: 'ann' },
      { role: 'assistant', content: 'no', reasoning: 'hm' },
      { role: 'system', content: 'e' },
      { role: 'user', content: 'f' },
    ]);
    expect(prompt({ messages: [user('x'), { role: 'assistant', content: 'y' }] }).continueFinalMessage).toBe(false);
  });

  test('takes sampling fields as they are, and neutral values for those left out', () => {
    expect(chat({}).sampling).toEqual({
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      logitBias: [],
    });
    const sampling = {
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: -1,
      frequency_penalty: 2,
      logit_bias: { 7: -100, 999: 1.5 },
      seed: 42,
      logprobs: true,
      top_logprobs: 3,
    };
    expect(chat(sampling).sampling).toEqual({
      temperature: 0.5,
      topK: 40,
      topP: 0.9,
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: -1,
      frequencyPenalty: 2,
      logitBias: [
        [7, -100],
        [999, 1.5],
      ],
      seed: 42,
      topLogprobs: 3,
    });
    expect(chat({ top_k: -1 }).sampling.topK).toBe(0);
    expect(chat({ logprobs: true }).sampling.topLogprobs).toBe(0);
  });

  test('gives each of n choices its own seed, the first the one that was asked for', () => {
    const seeds = requestsOf('/v1/chat/completions', { messages: [user('hi')], n: 5, seed: 7 }).map(
      ({ sampling }) => sampling.seed,
    );
    expect(seeds[0]).toBe(7);
    expect(new Set(seeds).size).toBe(5);
    const again = requestsOf('/v1/chat/completions', { messages: [user('hi')], n: 5, seed: 7 }).map(
      ({ sampling }) => sampling.seed,
    );
    expect(again).toEqual(seeds);
    expect(chat({}).sampling.seed).toBeUndefined();
  });

  test('turns every effort into a switch and a level, which template arguments overrule', () => {
    const thinking = (body: object) => {
      const { enableThinking, reasoningEffort, templateArguments } = prompt(body);
      return [enableThinking, reasoningEffort, templateArguments];
    };
    expect(thinking({})).toEqual([undefined, undefined, undefined]);
    expect(thinking({ reasoning_effort: 'none' })).toEqual([false, 'low', undefined]);
    expect(thinking({ reasoning_effort: 'minimal' })).toEqual([true, 'low', undefined]);
    expect(thinking({ reasoning_effort: 'medium' })).toEqual([true, 'medium', undefined]);
    expect(thinking({ reasoning_effort: 'xhigh' })).toEqual([true, 'high', undefined]);
    expect(thinking({ reasoning_effort: 'max' })).toEqual([true, 'high', undefined]);
    expect(thinking({ reasoning_effort: 'high', chat_template_kwargs: { enable_thinking: false, x: 1 } })).toEqual([
      false,
      'high',
      { x: 1 },
    ]);
  });
});

describe('/v1/completions', () => {
  test('generates 16 tokens unless told otherwise', async () => {
    const request = first(await completionRequests({ prompt: 'Once', stop: ['a', 'b'] }));
    expect(request).toMatchObject({ prompt: { kind: 'text', text: 'Once' }, maxTokens: 16, stop: ['a', 'b'] });
    expect(first(await completionRequests({ prompt: '', max_tokens: 0 })).maxTokens).toBe(0);
  });

  test('needs no chat template', async () => {
    const model = { ...MODEL, hasChatTemplate: false };
    expect(await completionRequests({ prompt: 'Once' }, model)).toHaveLength(1);
    for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/messages/count_tokens']) {
      const body = { messages: [user('hi')], max_tokens: 1 };
      expect(() => requestsOf(path, body, model)).toThrow(
        expect.objectContaining({ code: 'not_supported', message: expect.stringContaining('/v1/completions') }),
      );
    }
  });
});

describe('/v1/messages', () => {
  test('puts the system prompt first', () => {
    const texts = (system: unknown) => messagePrompt({ system }).messages.map(({ role, content }) => [role, content]);
    expect(texts('Be brief.')).toEqual([
      ['system', 'Be brief.'],
      ['user', 'hi'],
    ]);
    const block = (text: string) => ({ type: 'text', text, cache_control: { type: 'ephemeral' } });
    expect(texts([block('You are'), block('a cat.')])).toEqual([
      ['system', 'You are\n\na cat.'],
      ['user', 'hi'],
    ]);
  });

  test('merges runs of one role and keeps a system turn where it stands', () => {
    const messages = [
      user('a'),
      user([
        { type: 'text', text: 'b' },
        { type: 'text', text: 'c' },
      ]),
      { role: 'assistant', content: 'd' },
      { role: 'system', content: 'e' },
      user('f'),
    ];
    expect(messagePrompt({ messages })).toEqual({
      kind: 'chat',
      messages: [
        { role: 'user', content: 'a\n\nbc' },
        { role: 'assistant', content: 'd' },
        { role: 'system', content: 'e' },
        { role: 'user', content: 'f' },
      ],
      continueFinalMessage: false,
    });
  });

  test('continues a trailing assistant turn, unless it is empty', () => {
    const start = (content: string) => messagePrompt({ messages: [user('a'), { role: 'assistant', content }] });
    expect(start('Sure: ')).toMatchObject({
      continueFinalMessage: true,
      messages: [{ content: 'a' }, { role: 'assistant', content: 'Sure: ' }],
    });
    expect(start('')).toMatchObject({ continueFinalMessage: false, messages: [{ role: 'user', content: 'a' }] });
  });

  test('takes earlier thoughts back with any signature or none', () => {
    const content = [
      { type: 'thinking', thinking: 'hm', signature: 'foreign' },
      { type: 'thinking', thinking: 'm' },
      { type: 'redacted_thinking', data: 'x' },
      { type: 'text', text: 'b' },
    ];
    const { messages } = messagePrompt({ messages: [user('a'), { role: 'assistant', content }, user('c')] });
    expect(messages[1]).toEqual({ role: 'assistant', content: 'b', reasoning: 'hmm' });
  });

  test('maps thinking and effort', () => {
    const thinking = (body: object) => {
      const { enableThinking, reasoningEffort } = messagePrompt(body);
      return [enableThinking, reasoningEffort];
    };
    expect(thinking({})).toEqual([undefined, undefined]);
    expect(thinking({ thinking: { type: 'disabled' } })).toEqual([false, undefined]);
    expect(thinking({ thinking: { type: 'adaptive' } })).toEqual([undefined, undefined]);
    expect(thinking({ thinking: { type: 'between_tools' }, output_config: { effort: 'max' } })).toEqual([
      undefined,
      'high',
    ]);
    expect(thinking({ thinking: { type: 'enabled', budget_tokens: 1024 } })).toEqual([true, 'low']);
    expect(thinking({ thinking: { type: 'enabled', budget_tokens: 30_000 }, max_tokens: 32_000 })).toEqual([
      true,
      'high',
    ]);
    expect(
      thinking({ thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { effort: 'medium' } }),
    ).toEqual([true, 'medium']);
  });

  test('skips tools that run elsewhere, and fields it does not know', () => {
    const tools = [{ type: 'web_search_20250305', name: 'web_search' }];
    expect(
      message({ tools, metadata: { user_id: 'u' }, mcp_servers: [], context_management: {}, service_tier: 'auto' })
        .maxTokens,
    ).toBe(2000);
  });
});
