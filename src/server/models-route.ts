/** `GET /v1/models` and `/v1/models/{id}`: one body that both vendors' SDKs read. */
import type { ModelDescription } from '../runtime/api.ts';

export const modelBody = (model: ModelDescription): object => ({
  id: model.id,
  object: 'model',
  type: 'model',
  created: model.createdAt,
  created_at: new Date(model.createdAt * 1000).toISOString(),
  owned_by: 'firstlight',
  display_name: model.id,
  max_input_tokens: model.contextLength,
  max_tokens: model.contextLength,
  capabilities: null,
});

export const modelListBody = (model: ModelDescription): object => ({
  object: 'list',
  data: [modelBody(model)],
  has_more: false,
  first_id: model.id,
  last_id: model.id,
});
