/** Sets of tools as coding agents send them, the same on every machine. */

import type { ToolDefinition } from '../src/runtime/api.ts';
import { seededNumbers } from './seeded-numbers.ts';

type Schema = Readonly<Record<string, unknown>>;

const STRING = { type: 'string' };
const BOOLEAN = { type: 'boolean' };
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const tool = (name: string, properties: Schema, required: readonly string[] = Object.keys(properties)) => ({
  name,
  properties,
  required,
});

const QUESTION = {
  type: 'object',
  properties: {
    question: STRING,
    header: { type: 'string', maxLength: 12 },
    options: {
      type: 'array',
      minItems: 2,
      maxItems: 4,
      items: {
        type: 'object',
        properties: { label: STRING, description: STRING },
        required: ['label', 'description'],
        additionalProperties: false,
      },
    },
    multiSelect: BOOLEAN,
  },
  required: ['question', 'header', 'options', 'multiSelect'],
  additionalProperties: false,
};
const TODO = {
  type: 'object',
  properties: {
    content: { type: 'string', minLength: 1 },
    status: { type: 'string', enum: ['pending', 'in_progress', 'completed'] },
    activeForm: { type: 'string', minLength: 1 },
  },
  required: ['content', 'status', 'activeForm'],
  additionalProperties: false,
};
const EDIT = {
  type: 'object',
  properties: { old_string: STRING, new_string: STRING, replace_all: { type: 'boolean', default: false } },
  required: ['old_string', 'new_string'],
  additionalProperties: false,
};
const GREP = {
  pattern: STRING,
  path: STRING,
  glob: STRING,
  output_mode: { type: 'string', enum: ['content', 'files_with_matches', 'count'] },
  '-B': { type: 'number' },
  '-A': { type: 'number' },
  '-C': { type: 'number' },
  '-n': BOOLEAN,
  '-i': BOOLEAN,
  type: STRING,
  head_limit: { type: 'number' },
  multiline: BOOLEAN,
};
const PLAN_STEP = {
  type: 'object',
  properties: { step: STRING, status: { type: 'string', enum: ['pending', 'in_progress', 'completed'] } },
  required: ['step', 'status'],
  additionalProperties: false,
};

/** Parameters of the shapes that Claude Code's and Codex's tools have. */
const CODING_TOOLS = [
  tool('Task', { description: STRING, prompt: STRING, subagent_type: STRING }),
  tool(
    'Bash',
    { command: STRING, timeout: { type: 'number', maximum: 600_000 }, description: STRING, run_in_background: BOOLEAN },
    ['command'],
  ),
  tool('Glob', { pattern: STRING, path: STRING }, ['pattern']),
  tool('Grep', GREP, ['pattern']),
  tool('ExitPlanMode', { plan: STRING }),
  tool('Read', { file_path: STRING, offset: { type: 'number' }, limit: { type: 'number' } }, ['file_path']),
  tool('Edit', { file_path: STRING, ...EDIT.properties }, ['file_path', 'old_string', 'new_string']),
  tool('MultiEdit', { file_path: STRING, edits: { type: 'array', items: EDIT, minItems: 1 } }),
  tool('Write', { file_path: STRING, content: STRING }),
  tool(
    'NotebookEdit',
    {
      notebook_path: STRING,
      cell_id: STRING,
      new_source: STRING,
      cell_type: { type: 'string', enum: ['code', 'markdown'] },
      edit_mode: { type: 'string', enum: ['replace', 'insert', 'delete'] },
    },
    ['notebook_path', 'new_source'],
  ),
  tool('WebFetch', { url: { type: 'string', format: 'uri' }, prompt: STRING }),
  tool('TodoWrite', { todos: listOf(TODO) }),
  tool(
    'WebSearch',
    { query: { type: 'string', minLength: 2 }, allowed_domains: listOf(STRING), blocked_domains: listOf(STRING) },
    ['query'],
  ),
  tool('BashOutput', { bash_id: STRING, filter: STRING }, ['bash_id']),
  tool('KillShell', { shell_id: STRING }),
  tool('Skill', { command: STRING }),
  tool(
    'AskUserQuestion',
    {
      questions: { type: 'array', minItems: 1, maxItems: 4, items: QUESTION },
      answers: { type: 'object', additionalProperties: STRING },
    },
    ['questions'],
  ),
  tool('shell', { command: listOf(STRING), workdir: STRING, timeout_ms: { type: 'number' }, justification: STRING }, [
    'command',
  ]),
  tool('apply_patch', { input: STRING }),
  tool('update_plan', { explanation: STRING, plan: listOf(PLAN_STEP) }, ['plan']),
  tool('view_image', { path: STRING }),
  tool(
    'read_file',
    {
      file_path: STRING,
      offset: { type: 'integer', minimum: 1 },
      limit: { type: 'integer', minimum: 1 },
      mode: { type: 'string', enum: ['slice', 'indentation'] },
    },
    ['file_path'],
  ),
  tool('list_dir', { dir_path: STRING, offset: { type: 'integer' }, depth: { type: 'integer', minimum: 1 } }, [
    'dir_path',
  ]),
  tool('write_stdin', { session_id: { type: 'number' }, chars: STRING, yield_time_ms: { type: 'number' } }, [
    'session_id',
  ]),
];

/** Some two dozen tools of coding agents, strict or not. */
export const codingTools = (strict: boolean): ToolDefinition[] =>
  CODING_TOOLS.map(({ name, properties, required }) => ({
    name,
    description: `${name}: what it does, at length.`,
    strict,
    parameters: { type: 'object', properties, required: [...required], additionalProperties: false },
  }));

const WORDS =
  'account branch comment commit config content cursor deploy description due event file filter folder group head issue key label limit line message milestone name number order owner page parent path priority project query ref release repo review role scope sort source start state status tag target team text thread title token type until url user value version view workflow'.split(
    ' ',
  );

/** As servers of tools (MCP) describe theirs: descriptions, enums, nested objects, lists of objects. */
export const serverTools = (count: number, strict: boolean): ToolDefinition[] => {
  const random = seededNumbers(7);
  const below = (limit: number): number => Math.floor(random() * limit);
  const word = (): string => WORDS[below(WORDS.length)]!;
  const sentence = (): string => Array.from({ length: 14 + below(12) }, word).join(' ');
  const value = (depth: number): Schema => {
    const description = `${sentence()}.`;
    const kind = random();
    if (kind < 0.45) return { type: 'string', description };
    if (kind < 0.6)
      return { type: 'string', enum: [...new Set(Array.from({ length: 2 + below(5) }, word))], description };
    if (kind < 0.7) return { type: 'integer', minimum: 1, maximum: 100, description };
    if (kind < 0.8) return { type: 'boolean', description };
    if (kind < 0.88 || depth > 1) return { type: 'array', items: { type: 'string' }, description };
    const nested = objectOf(3 + below(3), depth + 1);
    return kind < 0.94 ? { ...nested, description } : { type: 'array', items: nested, description };
  };
  const objectOf = (numProperties: number, depth: number): Schema => {
    const names = [
      ...new Set(Array.from({ length: numProperties }, () => (random() < 0.4 ? word() : `${word()}_${word()}`))),
    ];
    const required = names.filter(() => random() < 0.4);
    const properties = Object.fromEntries(names.map((name) => [name, value(depth)]));
    return { type: 'object', properties, required, additionalProperties: false };
  };
  return Array.from({ length: count }, (_, i) => ({
    name: `${word()}_${word()}_${i}`,
    description: sentence(),
    strict,
    parameters: objectOf(6 + below(6), 0),
  }));
};
