/** What a request's answer must look like, as the grammar of its whole output: reasoning stays free. */
import type { AnswerFormat, PreparedPrompt } from '../../workers/pool.ts';
import type { GenerationRequest, OutputConstraint } from '../api.ts';
import { EngineError } from '../errors.ts';
import { callableTools, type ModelOutput } from './model-output.ts';
import { TOOL_FORMATS } from './tool-formats/index.ts';

/** What models write between their reasoning and the answer. */
const GAP: AnswerFormat = { type: 'regex', pattern: '[ \\n]{0,4}' };

/**
 * Undefined: the answer is free.
 * @throws EngineError not_supported: a call is required of a model whose form of calls is not known
 */
export const answerFormat = (
  { reasoning, toolFormat }: ModelOutput,
  request: GenerationRequest,
  prepared: Pick<PreparedPrompt, 'reasoningOpened' | 'mayReason'>,
): AnswerFormat | undefined => {
  const text = request.constraint && constrained(request.constraint);
  if (request.prompt.kind !== 'chat') return text;
  const tools = callableTools(request);
  const { mode = 'auto', parallel = true } = request.toolChoice ?? {};
  if (mode === 'required' && toolFormat === undefined) throw noToolFormat();
  const format = toolFormat && tools.length > 0 ? TOOL_FORMATS[toolFormat] : undefined;
  if (reasoning === 'harmony') {
    const isHeld = text !== undefined || (format !== undefined && isCallHeld(request));
    return isHeld
      ? TOOL_FORMATS.harmony.grammar(tools, { mode: callMode(mode), parallel, ...(text && { text }) })
      : undefined;
  }
  const content = ((): AnswerFormat | undefined => {
    if (mode === 'required') return format?.grammar(tools, { mode, parallel });
    // A choice is between forms that end by themselves, as many calls do not.
    if (text !== undefined) return oneOf([format?.grammar(tools, { mode: 'required', parallel: false }), text]);
    return isCallHeld(request) ? format?.grammar(tools, { mode: 'auto', parallel }) : undefined;
  })();
  return content === undefined || reasoning === 'none' || !prepared.mayReason
    ? content
    : thoughtful(content, prepared.reasoningOpened);
};

/** Whether a request says more of its calls than that there may be some. */
const isCallHeld = (request: GenerationRequest): boolean => {
  const { mode = 'auto', names, parallel = true } = request.toolChoice ?? {};
  return mode === 'required' || names !== undefined || !parallel || callableTools(request).some(({ strict }) => strict);
};

const callMode = (mode: 'auto' | 'none' | 'required'): 'auto' | 'required' => (mode === 'required' ? mode : 'auto');

const oneOf = (formats: readonly (AnswerFormat | undefined)[]): AnswerFormat => {
  const elements = formats.filter((format) => format !== undefined);
  return elements.length === 1 ? elements[0]! : { type: 'or', elements };
};

const thoughtful = (content: AnswerFormat, reasoningOpened: boolean): AnswerFormat => {
  const thought = (begin: string): AnswerFormat => ({
    type: 'sequence',
    elements: [{ type: 'tag', begin, content: { type: 'any_text' }, end: '</think>' }, GAP, content],
  });
  return reasoningOpened ? thought('') : { type: 'or', elements: [thought('<think>'), content] };
};

const noToolFormat = (): EngineError =>
  new EngineError(
    'not_supported',
    'tool_choice: a call cannot be required of this model, since its chat template has no form of calls that is known here; leave it to the model (auto), or start the server with --tool-format',
    { param: 'tool_choice' },
  );

const at = ({ param }: { readonly param?: string }): { readonly path?: string } =>
  param === undefined ? {} : { path: param };

const constrained = (constraint: OutputConstraint): AnswerFormat => {
  switch (constraint.kind) {
    case 'json_object':
      return { type: 'json_schema', json_schema: { type: 'object' } };
    case 'json_schema':
      return { type: 'json_schema', json_schema: constraint.schema, ...at(constraint) };
    case 'grammar':
      return { type: 'grammar', grammar: constraint.ebnf, ...at(constraint) };
    case 'regex':
      return { type: 'regex', pattern: constraint.pattern, ...at(constraint) };
  }
};
