/** What the served model can do, held against what a route wants of it. */
import type { ModelDescription } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';

/** @throws EngineError not_supported, saying where the model can be asked instead */
export const requireTask = (task: 'generate' | 'embed', model: ModelDescription): void => {
  if (task === 'generate' && !model.generates) {
    const message = `the model '${model.id}' makes embeddings and no text: ask it at /v1/embeddings, or serve a model that generates`;
    throw new EngineError('not_supported', message, { param: 'model' });
  }
  if (task === 'embed' && !model.embedding) {
    const message = `the model '${model.id}' makes no embeddings: serve one that does`;
    throw new EngineError('not_supported', message, { param: 'model' });
  }
};
