/** What clients send to the coordination routes, with every bound. Field names are those of agent-memory's server. */
import { z } from 'zod';
import { integer, optional } from '../dialects/body-schema.ts';
import { DEBATE_FORMATS } from './debate-formats.ts';
import { TOPOLOGIES } from './topology.ts';
import { DECISION_MODES } from './vote.ts';

export const MAX_AGENTS = 30;
export const MAX_TURNS = 1000;
const MAX_TURN_TOKENS = 4096;
const MAX_SYSTEM_LENGTH = 32_768;
const MAX_TEXT_LENGTH = 50_000;
const MAX_WHISPER_LENGTH = 5_000;
const MAX_QUESTION_LENGTH = 2_000;
const MAX_OPTION_LENGTH = 200;
const MAX_OPTIONS = 20;
const MAX_TTL_SECONDS = 7 * 24 * 3600;

/** One line: names stand before what is said. */
const name = z
  .string()
  .min(1)
  .max(50)
  .regex(/^[^\p{C}\p{Z}](?:[^\p{C}\p{Zl}\p{Zp}]*[^\p{C}\p{Z}])?$/u, {
    error: 'must be one line of printable characters',
  });
const agentId = z
  .string()
  .max(64)
  .regex(/^[\w.-]+$/, { error: 'must be letters, digits, dots, dashes and underscores' });

const agent = z.object({
  agent_id: optional(agentId),
  display_name: name,
  role: optional(name),
  system_prompt: optional(z.string().max(MAX_SYSTEM_LENGTH)),
  lifecycle: optional(z.enum(['ephemeral', 'permanent'])),
  model: optional(z.string().min(1)),
});

const samplingFields = {
  max_tokens: optional(integer(1, MAX_TURN_TOKENS)),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  seed: optional(z.int()),
};

export const createBody = z.object({
  topology: optional(z.enum(TOPOLOGIES)),
  debate_format: optional(z.enum(DEBATE_FORMATS)),
  decision_mode: optional(z.enum([...DECISION_MODES, 'coordinator_decides'])),
  agents: z.array(agent).min(1).max(MAX_AGENTS),
  initial_prompt: optional(z.string().max(MAX_TEXT_LENGTH)),
  per_agent_prompts: optional(z.record(z.string(), z.string().max(MAX_TEXT_LENGTH))),
  max_turns: optional(integer(0, MAX_TURNS)),
  persistent_cache_prefix: optional(
    z
      .string()
      .max(64)
      .regex(/^[\w.-]*$/, { error: 'must be letters, digits, dots, dashes and underscores' }),
  ),
  prior_agent_messages: optional(z.record(z.string(), z.array(z.unknown()))),
  model: optional(z.string().min(1)),
  ttl_seconds: optional(integer(1, MAX_TTL_SECONDS)),
  ...samplingFields,
});

export type CreateBody = z.output<typeof createBody>;

const stream = optional(z.boolean());

export const turnBody = z.object({
  agent_id: optional(agentId),
  to_agent_id: optional(agentId),
  stream,
  ...samplingFields,
});

export const roundBody = z.object({ stream, ...samplingFields });

/** A word from outside. */
export const messageBody = z.object({ content: z.string().min(1).max(MAX_TEXT_LENGTH), sender_name: optional(name) });

/** Without `content`, the sender makes up what to whisper. */
export const whisperBody = z.object({
  from_agent_id: agentId,
  to_agent_id: agentId,
  content: optional(z.string().min(1).max(MAX_WHISPER_LENGTH)),
  stream,
  ...samplingFields,
});

const question = z.string().min(1).max(MAX_QUESTION_LENGTH);
const option = z.string().min(1).max(MAX_OPTION_LENGTH);

/** With `options`, agents are asked; with `choice` or `ranking`, the caller casts one agent's ballot. */
export const voteBody = z.object({
  question,
  options: optional(z.array(option).min(2).max(MAX_OPTIONS)),
  agent_ids: optional(z.array(agentId).min(1).max(MAX_AGENTS)),
  agent_id: optional(agentId),
  choice: optional(option),
  ranking: optional(z.array(option).max(MAX_OPTIONS)),
  stream,
});

/** What a request may say of the turns that it asks for. */
export type TurnSampling = z.output<typeof roundBody>;
