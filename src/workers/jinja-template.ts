/** A Jinja template out of a model's files. It is not trusted: it sees plain values only, and runs under a time limit. */
import { Template } from '@huggingface/jinja';
import { EngineError } from '../runtime/errors.ts';
import { withTimeLimit } from './time-limit.ts';

/** What a template says by `raise_exception`, in its own words. Its other errors are its author's mistakes. */
export class TemplateRefusal extends Error {}

const RENDER_LIMIT_MS = 2000;
const RAISE = 'raise_exception';
/** The library has a `raise_exception` of its own, whose errors look like any other, and lets nobody take its place. */
const OWN_RAISE = 'raise_refusal';

export class JinjaTemplate {
  readonly #template: Template;

  /** @throws EngineError model_unsupported when the source cannot be read */
  constructor(source: string) {
    try {
      this.#template = limited(() => {
        const template = new Template(source);
        exchangeRaise(template.parsed);
        return template;
      });
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError('model_unsupported', `the model's chat template cannot be read: ${reason}`, {}, { cause });
    }
  }

  /**
   * @throws EngineError model_unsupported when the template does not end
   * @throws TemplateRefusal
   * @throws Error for a mistake in the template
   */
  render(variables: Readonly<Record<string, unknown>>): string {
    return limited(() => this.#template.render({ ...variables, [OWN_RAISE]: refuse }));
  }
}

const refuse = (reason: unknown): never => {
  throw new TemplateRefusal(String(reason));
};

/** Calls ours in the parsed template wherever it names the library's. */
const exchangeRaise = (node: unknown): void => {
  if (typeof node !== 'object' || node === null) return;
  if ('type' in node && node.type === 'Identifier' && 'value' in node && node.value === RAISE) node.value = OWN_RAISE;
  const parts = node instanceof Map ? [...node].flat() : Object.values(node);
  for (const part of parts) exchangeRaise(part);
};

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
