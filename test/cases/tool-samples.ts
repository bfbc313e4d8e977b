/** Answers as models write them in each tool format, and what they say. */
import type { ToolDefinition } from '../../src/runtime/api.ts';
import type { ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';

export const TOOLS: readonly ToolDefinition[] = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string' },
        days: { type: 'integer' },
        exact: { type: 'boolean' },
        unit: { type: ['string', 'null'] },
        tags: { type: 'array', items: { type: 'string' } },
      },
      required: ['city'],
    },
  },
  { name: 'run', parameters: { type: 'object', properties: { command: { type: 'string' } } } },
  { name: 'now' },
  { name: 'fs/мир:read-all' },
];

/** Text, or a call with its arguments; `broken` ones are announced and then given up. */
export type Said = string | readonly [name: string, given: unknown] | { readonly broken: string };

export interface ToolSample {
  readonly title: string;
  readonly output: string;
  readonly said: readonly Said[];
  readonly reasoning?: string;
  readonly numWarnings?: number;
  /** A limit ended the answer. */
  readonly isCut?: boolean;
}

const OSLO: Said = ['get_weather', { city: 'Oslo' }];
const RUN: Said = ['run', { command: 'ls' }];
/** A name that no programming language has. */
const READ: Said = ['fs/мир:read-all', {}];
const BARE_TEXT = 'Use {curly} and [square] brackets, a < b, "quotes" and `code`.';

const hermes: readonly ToolSample[] = [
  { title: 'text alone', output: `Hello.\n${BARE_TEXT}\n`, said: [`Hello.\n${BARE_TEXT}\n`] },
  {
    title: 'a call',
    output: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    said: [OSLO],
  },
  {
    title: 'text before, between and after calls',
    output:
      'Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>\nAnd\n<tool_call>\n{"name": "run", "arguments": {"command": "ls"}}\n</tool_call>\nDone.',
    said: ['Let me see.', OSLO, '\n\nAnd', RUN, '\n\nDone.'],
  },
  {
    title: 'parallel calls',
    output:
      '<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>\n<tool_call>{"name":"run","arguments":{"command":"ls"}}</tool_call>\n',
    said: [OSLO, RUN],
  },
  {
    title: 'the closing tag within arguments',
    output: '<tool_call>\n{"name": "run", "arguments": {"command": "echo \\"</tool_call>\\" }}"}}\n</tool_call>',
    said: [['run', { command: 'echo "</tool_call>" }}' }]],
  },
  {
    title: 'arguments before the name',
    output: '<tool_call>{"arguments": {"city": "Oslo"}, "name": "get_weather"}</tool_call>',
    said: [OSLO],
  },
  {
    title: 'arguments as a string',
    output: '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>',
    said: [OSLO],
  },
  { title: 'no arguments', output: '<tool_call>\n{"name": "now"}\n</tool_call>', said: [['now', {}]] },
  {
    title: 'null for arguments',
    output: '<tool_call>{"name": "now", "arguments": null}</tool_call>',
    said: [['now', {}]],
  },
  {
    title: "OpenAI's nesting",
    output:
      '<tool_call>{"id": "1", "type": "function", "function": {"name": "run", "arguments": {"command": "ls"}}}</tool_call>',
    said: [RUN],
  },
  {
    title: 'two calls between one pair of tags',
    output:
      '<tool_call>\n{"name": "now", "arguments": {}}\n{"name": "run", "arguments": {"command": "ls"}}\n</tool_call>',
    said: [['now', {}], RUN],
  },
  {
    title: 'a list between the tags',
    output:
      '<tool_call>[{"name": "now", "arguments": {}}, {"name": "run", "arguments": {"command": "ls"}}]</tool_call>',
    said: [['now', {}], RUN],
  },
  {
    title: 'a missing closing tag',
    output: '<tool_call>\n{"name": "run", "arguments": {"command": "ls"}}',
    said: [RUN],
  },
  {
    title: 'a missing brace, and a missing closing tag before the next call',
    output:
      '<tool_call>{"name": "now", "arguments": {}}<tool_call>{"name": "run", "arguments": {"command": "ls"}</tool_call>',
    said: [['now', {}], RUN],
  },
  {
    title: 'line breaks and odd escapes in strings',
    output: '<tool_call>{"name": "run", "arguments": {"command": "a\nb\tc \\d \\u12x é🚀"}}</tool_call>',
    said: [['run', { command: 'a\nb\tc \\d \\u12x é🚀' }]],
  },
  {
    title: 'nested values of every type',
    output:
      '<tool_call>{"name": "run", "arguments": {"a": [1, -2.5e+3, true, null, {"b": []}, ""], "c": {}}}</tool_call>',
    said: [['run', { a: [1, -2500, true, null, { b: [] }, ''], c: {} }]],
  },
  {
    title: 'a key that belongs to no call',
    output: '<tool_call>{"name": "now", "thought": "why not", "arguments": {}}</tool_call>',
    said: [['now', {}], '"thought": "why not"'],
  },
  {
    title: 'no JSON',
    output: '<tool_call>get_weather(Oslo)</tool_call>',
    said: ['<tool_call>get_weather(Oslo)</tool_call>'],
    numWarnings: 1,
  },
  {
    title: 'no name',
    output: 'So: <tool_call>{"arguments": {"city": "Oslo"}}</tool_call>',
    said: ['So: <tool_call>{"arguments": {"city": "Oslo"}}</tool_call>'],
    numWarnings: 1,
  },
  {
    title: 'an empty name',
    output: '<tool_call>{"name": "", "arguments": {}}</tool_call>',
    said: ['<tool_call>{"name": "", "arguments": {}}</tool_call>'],
    numWarnings: 1,
  },
  {
    title: 'an unknown name',
    output: '<tool_call>{"name": "fly", "arguments": {"to": "Oslo"}}</tool_call> Sorry.',
    said: ['<tool_call>{"name": "fly", "arguments": {"to": "Oslo"}}</tool_call> Sorry.'],
    numWarnings: 1,
  },
  {
    title: 'arguments that are no object',
    output: '<tool_call>{"name": "run", "arguments": ["ls"]}</tool_call>',
    said: [{ broken: '' }, '<tool_call>{"name": "run", "arguments": ["ls"]}</tool_call>'],
    numWarnings: 1,
  },
  {
    title: 'arguments that break',
    output: '<tool_call>{"name": "run", "arguments": {"command": "ls" "-l"}}</tool_call> Hm.',
    said: [
      { broken: '{"command": "ls" ' },
      '<tool_call>{"name": "run", "arguments": {"command": "ls" "-l"}}</tool_call> Hm.',
    ],
    numWarnings: 1,
  },
  {
    title: 'arguments that end early',
    output: '<tool_call>{"name": "run", "arguments": {"command": "l',
    said: [{ broken: '{"command": "l' }, '<tool_call>{"name": "run", "arguments": {"command": "l'],
    numWarnings: 1,
  },
  {
    title: 'arguments that a limit cuts',
    output: '<tool_call>{"name": "run", "arguments": {"command": "l',
    said: [{ broken: '{"command": "l' }],
    isCut: true,
  },
  {
    title: 'a name that a limit cuts',
    output: 'I will. <tool_call>\n{"name": "get_wea',
    said: ['I will. <tool_call>\n{"name": "get_wea'],
    numWarnings: 1,
    isCut: true,
  },
  {
    title: 'a malformed call before a good one',
    output: '<tool_call>oops<tool_call>{"name": "now", "arguments": {}}</tool_call>',
    said: ['<tool_call>oops', ['now', {}]],
    numWarnings: 1,
  },
  { title: 'an opening tag that is none', output: 'a <tool_cal <tool_ca', said: ['a <tool_cal <tool_ca'] },
];

const coder = (name: string, parameters: readonly (readonly [string, string])[]): string =>
  `<tool_call>\n<function=${name}>\n${parameters.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('')}</function>\n</tool_call>`;

const qwen3Coder: readonly ToolSample[] = [
  { title: 'text alone', output: BARE_TEXT, said: [BARE_TEXT] },
  { title: 'a call', output: coder('get_weather', [['city', 'Oslo']]), said: [OSLO] },
  {
    title: 'text and parallel calls',
    output: `I look.\n\n${coder('get_weather', [['city', 'Oslo']])}\n${coder('run', [['command', 'ls']])}\nDone.`,
    said: ['I look.', OSLO, RUN, '\n\n\n\nDone.'],
  },
  {
    title: "values of the schema's types",
    output: coder('get_weather', [
      ['city', '42'],
      ['days', '3'],
      ['exact', 'True'],
      ['unit', 'null'],
      ['tags', '["a", "b\\n"]'],
      ['other', '{"x": [1]}'],
    ]),
    said: [['get_weather', { city: '42', days: 3, exact: true, unit: null, tags: ['a', 'b\n'], other: { x: [1] } }]],
  },
  {
    title: 'values of other types than asked for stay what they are',
    output: coder('get_weather', [
      ['days', 'three'],
      ['unit', 'metric'],
      ['tags', '[broken'],
    ]),
    said: [['get_weather', { days: 'three', unit: 'metric', tags: '[broken' }]],
  },
  {
    title: 'several lines, quotes, and closing tags within a value',
    output: coder('run', [['command', 'echo "</parameter>"\n  cat <<E\n</function>\n</parameter>\nE\n\té🚀\\n']]),
    said: [['run', { command: 'echo "</parameter>"\n  cat <<E\n</function>\n</parameter>\nE\n\té🚀\\n' }]],
  },
  {
    title: 'values on the line of their tags',
    output: '<tool_call><function=run><parameter=command>ls</parameter></function></tool_call>',
    said: [RUN],
  },
  { title: 'no parameters', output: coder('now', []), said: [['now', {}]] },
  { title: 'an empty value', output: coder('run', [['command', '']]), said: [['run', { command: '' }]] },
  {
    title: 'no outer tag',
    output: 'Go.\n<function=run>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>',
    said: ['Go.', RUN],
  },
  {
    title: 'missing closing tags at the end',
    output: '<tool_call>\n<function=run>\n<parameter=command>\nls\n</parameter>',
    said: [RUN],
  },
  {
    title: "a value without its closing tag at the answer's end",
    output: '<tool_call>\n<function=run>\n<parameter=command>\nls\n</function>\n</tool_call>\n',
    said: [RUN],
  },
  {
    title: 'a value without its closing tag before the next call',
    output: `<tool_call>\n<function=run>\n<parameter=command>\nls\n</function>\n</tool_call>\n${coder('now', [])}`,
    said: [RUN, ['now', {}]],
  },
  {
    title: "the closing tags of a call within a value, up to the answer's end",
    output: coder('run', [['command', 'a </function>\n</tool_call>\n b']]),
    said: [['run', { command: 'a </function>\n</tool_call>\n b' }]],
  },
  {
    title: 'a missing outer closing tag before the next call',
    output: `<tool_call><function=now></function>\n${coder('run', [['command', 'ls']])}`,
    said: [['now', {}], RUN],
  },
  {
    title: 'an unknown name',
    output: coder('fly', [['to', 'Oslo']]),
    said: [coder('fly', [['to', 'Oslo']])],
    numWarnings: 1,
  },
  { title: 'an empty name', output: coder('', []), said: [coder('', [])], numWarnings: 1 },
  {
    title: 'text among the parameters',
    output: '<tool_call>\n<function=run>\nls</function>\n</tool_call>',
    said: [{ broken: '' }, '<tool_call>\n<function=run>\nls</function>\n</tool_call>'],
    numWarnings: 1,
  },
  {
    title: 'a value that ends early',
    output: '<tool_call>\n<function=run>\n<parameter=command>\nls -',
    said: [{ broken: '{"command": "ls -' }, '<tool_call>\n<function=run>\n<parameter=command>\nls -'],
    numWarnings: 1,
  },
  {
    title: 'a value that a limit cuts',
    output: '<tool_call>\n<function=run>\n<parameter=command>\nls -',
    said: [{ broken: '{"command": "ls -' }],
    isCut: true,
  },
];

const llama3: readonly ToolSample[] = [
  {
    title: 'text alone',
    output: `${BARE_TEXT}\n[1] a list\n{not JSON}\n`,
    said: [`${BARE_TEXT}\n[1] a list\n{not JSON}\n`],
  },
  { title: 'bare JSON', output: '{"name": "get_weather", "parameters": {"city": "Oslo"}}', said: [OSLO] },
  {
    title: 'after the tag',
    output: '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}',
    said: [OSLO],
  },
  {
    title: 'a type, and text around',
    output: 'Sure:\n{"type": "function", "name": "run", "parameters": {"command": "ls"}}\nThere.',
    said: ['Sure:', RUN, '\n\nThere.'],
  },
  {
    title: 'several, separated',
    output:
      '<|python_tag|>{"name": "now", "parameters": {}}; {"name": "run", "parameters": {"command": "ls"}}\n{"name": "now", "parameters": {}}',
    said: [['now', {}], RUN, ['now', {}]],
  },
  {
    title: 'a list',
    output: '[{"name": "now", "parameters": {}}, {"name": "run", "parameters": {"command": "ls"}}]',
    said: [['now', {}], RUN],
  },
  {
    title: 'JSON that is an answer',
    output: '{"name": "Ada", "born": 1815}',
    said: ['{"name": "Ada", "born": 1815}'],
  },
  {
    title: "JSON with a tool's name that is an answer",
    output: '{"name": "run", "kind": "verb"}\n{"other": {"name": "run"}}',
    said: ['{"name": "run", "kind": "verb"}\n{"other": {"name": "run"}}'],
  },
  {
    title: 'an unknown name',
    output: '{"name": "fly", "parameters": {"to": "Oslo"}}',
    said: ['{"name": "fly", "parameters": {"to": "Oslo"}}'],
    numWarnings: 1,
  },
  {
    title: 'the tag before code',
    output: '<|python_tag|>print(1)',
    said: ['<|python_tag|>print(1)'],
    numWarnings: 1,
  },
];

const mistral: readonly ToolSample[] = [
  { title: 'text alone', output: `${BARE_TEXT} [TOOL]`, said: [`${BARE_TEXT} [TOOL]`] },
  { title: 'a list', output: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]', said: [OSLO] },
  {
    title: 'a list of several, with ids of their own',
    output:
      'I look.[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "abcdefghi"}, {"name": "run", "arguments": {"command": "ls ]"}, "id": "abcdefghj"}]',
    said: ['I look.', OSLO, ['run', { command: 'ls ]' }]],
  },
  {
    title: 'names and arguments',
    output: '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]run[ARGS]{"command": "ls"}',
    said: [OSLO, RUN],
  },
  { title: 'a call id', output: '[TOOL_CALLS]run[CALL_ID]abcdefghi[ARGS]{"command": "ls"}', said: [RUN] },
  { title: 'a name without its tag', output: '[TOOL_CALLS]run{"command": "ls"}', said: [RUN] },
  { title: 'a name of all signs', output: '[TOOL_CALLS]fs/мир:read-all[ARGS]{}', said: [READ] },
  {
    title: 'an unknown name',
    output: '[TOOL_CALLS]fly[ARGS]{"to": "Oslo"}',
    said: ['[TOOL_CALLS]fly[ARGS]{"to": "Oslo"}'],
    numWarnings: 1,
  },
  {
    title: 'text after the tag',
    output: '[TOOL_CALLS] Hello, you.',
    said: ['[TOOL_CALLS] Hello, you.'],
    numWarnings: 1,
  },
  { title: 'a missing bracket', output: '[TOOL_CALLS][{"name": "now", "arguments": {}}', said: [['now', {}]] },
];

const phi: readonly ToolSample[] = [
  { title: 'text alone', output: BARE_TEXT, said: [BARE_TEXT] },
  {
    title: 'a list between tags',
    output:
      'So.<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "run", "arguments": {"command": "ls"}}]<|/tool_call|> Done.',
    said: ['So.', OSLO, RUN, ' Done.'],
  },
  {
    title: "its predecessor's list",
    output: 'So. functools[{"name": "now", "arguments": {}}, {"name": "run", "arguments": {"command": "ls"}}]',
    said: ['So.', ['now', {}], RUN],
  },
  {
    title: 'an object between tags',
    output: '<|tool_call|>{"name": "run", "parameters": {"command": "<|/tool_call|>"}}<|/tool_call|>',
    said: [['run', { command: '<|/tool_call|>' }]],
  },
  {
    title: 'an unknown name',
    output: '<|tool_call|>[{"name": "fly", "arguments": {}}]<|/tool_call|>',
    said: ['<|tool_call|>[{"name": "fly", "arguments": {}}]<|/tool_call|>'],
    numWarnings: 1,
  },
];

const functools: readonly ToolSample[] = [
  { title: 'text alone', output: `${BARE_TEXT} import functools`, said: [`${BARE_TEXT} import functools`] },
  {
    title: 'a list',
    output:
      'functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "run", "arguments": {"command": "ls"}}]',
    said: [OSLO, RUN],
  },
  {
    title: 'text around',
    output: 'Yes: functools[{"name": "now", "arguments": {}}] ok',
    said: ['Yes:', ['now', {}], '  ok'],
  },
  { title: 'other code', output: 'functools[0]', said: ['functools[0]'], numWarnings: 1 },
];

const gemma: readonly ToolSample[] = [
  {
    title: 'text and code alone',
    output: `${BARE_TEXT}\n\`\`\`json\n{"a": 1}\n\`\`\`\n\`\`\`python\nx\n\`\`\``,
    said: [`${BARE_TEXT}\n\`\`\`json\n{"a": 1}\n\`\`\`\n\`\`\`python\nx\n\`\`\``],
  },
  {
    title: 'a block',
    output: 'Ok.\n```tool_code\n{"name": "get_weather", "parameters": {"city": "Oslo"}}\n```\nThen.',
    said: ['Ok.', OSLO, '\n\nThen.'],
  },
  {
    title: 'a block of JSON',
    output: '```json\n{"name": "run", "parameters": {"command": "```"}}\n```',
    said: [['run', { command: '```' }]],
  },
  { title: 'bare', output: '{"name": "run", "parameters": {"command": "ls"}}', said: [RUN] },
  { title: 'a name of all signs in Python', output: '```tool_code\nfs/мир:read-all()\n```', said: [READ] },
  {
    title: 'a block of two',
    output: '```tool_code\n[{"name": "now", "parameters": {}},\n{"name": "run", "parameters": {"command": "ls"}}]\n```',
    said: [['now', {}], RUN],
  },
  {
    title: 'a block of Python',
    output: '```tool_code\nget_weather(city="Oslo", days=3, tags=["a", \'b\'])\nrun("ls")\n```\nThen.',
    said: [['get_weather', { city: 'Oslo', days: 3, tags: ['a', 'b'] }], RUN, '\nThen.'],
  },
  {
    title: 'a list in Python',
    output: '[get_weather(city="Os\\"lo)", exact=True, unit=None), now()]',
    said: [
      ['get_weather', { city: 'Os"lo)', exact: true, unit: null }],
      ['now', {}],
    ],
  },
  {
    title: 'Python with more quotes and nested values',
    output: `\`\`\`tool_code\nrun(command='''it's (\n''', x={"a": (1, -2.5)}, y="")\n\`\`\``,
    said: [['run', { command: "it's (\n", x: { a: [1, -2.5] }, y: '' }]],
  },
  {
    title: 'Python that is no call',
    output: 'See [link](url), [x(1)] and\n[run](command)\n```tool_code\nrun(command=ls)\n```',
    said: ['See [link](url), [x(1)] and\n[run](command)\n```tool_code\nrun(command=ls)\n```'],
    numWarnings: 1,
  },
  {
    title: 'a block of something else',
    output: '```tool_code\nprint(1)\n```',
    said: ['```tool_code\nprint(1)\n```'],
    numWarnings: 1,
  },
];

const WEATHER = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"Oslo"}';

const harmony: readonly ToolSample[] = [
  {
    title: 'reasoning and an answer',
    output: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.',
    said: ['Yes.'],
    reasoning: 'Hm.',
  },
  {
    title: 'reasoning and a call',
    output: `<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant${WEATHER}`,
    said: [OSLO],
    reasoning: 'Need weather.',
  },
  {
    title: 'the recipient in the role',
    output: '<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Oslo"}<|call|>',
    said: [OSLO],
  },
  {
    title: 'the recipient before anything else',
    output: ' to=functions.run<|channel|>commentary<|message|>{"command": "ls"}',
    said: [RUN],
  },
  {
    title: 'a content type without its tag',
    output: '<|channel|>commentary to=functions.run json<|message|>{"command": "ls"}',
    said: [RUN],
  },
  {
    title: 'a content type that sticks to the recipient',
    output: '<|channel|>commentary to=functions.runjson<|message|>{"command": "ls"}',
    said: [RUN],
  },
  {
    title: 'a name of all signs before anything else',
    output: ' to=functions.fs/мир:read-all<|channel|>commentary<|message|>{}',
    said: [READ],
  },
  { title: 'a call in analysis', output: '<|channel|>analysis to=functions.now<|message|>{}', said: [['now', {}]] },
  { title: 'a call of a bare name', output: '<|channel|>commentary to=run<|message|>{"command": "ls"}', said: [RUN] },
  {
    title: 'a call without arguments',
    output: '<|channel|>commentary to=functions.now<|message|><|call|>',
    said: [['now', {}]],
  },
  {
    title: 'a preamble, a call, another call',
    output: `<|channel|>commentary<|message|>I look.<|end|><|start|>assistant${WEATHER}<|call|><|start|>assistant<|channel|>commentary to=functions.run<|message|>{"command": "ls"}`,
    said: ['I look.', OSLO, RUN],
  },
  {
    title: 'a missing start tag',
    output: '<|channel|>analysis<|message|>Hm.<|end|>assistant<|channel|>final<|message|>Yes.',
    said: ['Yes.'],
    reasoning: 'Hm.',
  },
  {
    title: 'missing start and role',
    output: '<|channel|>analysis<|message|>Hm.<|end|><|channel|>final<|message|>Yes.<|return|>',
    said: ['Yes.'],
    reasoning: 'Hm.',
  },
  {
    title: 'a missing end tag',
    output: '<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes.',
    said: ['Yes.'],
    reasoning: 'Hm.',
  },
  { title: 'no tags at all', output: 'Hello there.', said: ['Hello there.'] },
  { title: 'a head alone', output: '<|channel|>final', said: [] },
  {
    title: 'a start tag alone at the end',
    output: '<|channel|>final<|message|>Yes.<|end|><|start|>assistant',
    said: ['Yes.'],
  },
  {
    title: 'a message tag too many',
    output: '<|channel|>final<|message|><|message|>Yes<|constrain|>.',
    said: ['Yes.'],
  },
  { title: 'a missing message tag', output: '<|channel|>final Yes, it rains.', said: ['Yes, it rains.'] },
  {
    title: 'an unknown name',
    output: '<|channel|>commentary to=functions.fly <|constrain|>json<|message|>{"to":"Oslo"}<|call|>',
    said: ['{"to":"Oslo"}'],
    numWarnings: 1,
  },
  {
    title: 'arguments that break',
    output: '<|channel|>commentary to=functions.run<|message|>{"command": ls}<|call|>',
    said: [{ broken: '{"command": ' }, '{"command": ls}'],
    numWarnings: 1,
  },
  {
    title: 'arguments that a limit cuts',
    output: '<|channel|>commentary to=functions.run<|message|>{"command": "l',
    said: [{ broken: '{"command": "l' }],
    isCut: true,
  },
  {
    title: 'an answer to a person',
    output: '<|channel|>final to=user<|message|>Hi.<|end|>',
    said: ['Hi.'],
  },
];

export const TOOL_SAMPLES: Readonly<Record<ToolFormatName, readonly ToolSample[]>> = {
  hermes,
  'qwen3-coder': qwen3Coder,
  llama3,
  mistral,
  phi,
  functools,
  gemma,
  harmony,
};
