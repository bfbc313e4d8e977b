/**
 * Agents that share one server, over HTTP: two at once, ten in turns whose contexts exceed the pool, a parent with five
 * forks, and memory for 1, 10 and 100 sessions:
 *
 *     npx tsx bench/agents.ts [--model PATH] [--prompt-tokens 1024] [--max-tokens 32] [--kv-format f16] [--quick] [--record]
 *
 * Every request is a streamed greedy chat under a session's name; tokens are counted by the server's usage. Each text must
 * be the same whether its context was computed, in the pool, in host memory or on disk. The pool holds one context of
 * `--context` tokens (by default as many as the model has, at most four prompts and their answers).
 */
import { parseArgs } from 'node:util';
import { EMBEDDED_MODEL_PATH } from '../src/runtime/config.ts';
import { Agents } from './agent-server.ts';
import { forkTrace, memoryTrace, roundRobinTrace, twoAgentsTrace } from './agent-traces.ts';
import { promptTexts } from './prompt-text.ts';
import { recordResults } from './report.ts';

const TRACES = {
  'two agents at once': twoAgentsTrace,
  'ten agents in turns': roundRobinTrace,
  'a parent and five forks': forkTrace,
  'memory by sessions': memoryTrace,
} as const;

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: EMBEDDED_MODEL_PATH },
      'prompt-tokens': { type: 'string' },
      'max-tokens': { type: 'string' },
      context: { type: 'string', default: '4096' },
      'kv-format': { type: 'string', default: 'f16' },
      quick: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
    },
  });
  const promptTokens = Number(values['prompt-tokens'] ?? (values.quick ? 384 : 1024));
  const maxTokens = Number(values['max-tokens'] ?? (values.quick ? 8 : 32));
  const contextLength = Math.min(Number(values.context), 4 * (promptTokens + maxTokens));
  const agents = new Agents({
    modelPath: values.model,
    kvFormat: values['kv-format'],
    contextLength,
    promptTokens,
    maxTokens,
    turns: values.quick ? 2 : 3,
    sessionCounts: values.quick ? [1, 10] : [1, 10, 100],
    textOf: await promptTexts(values.model),
  });
  const command = `npx tsx bench/agents.ts ${process.argv.slice(2).join(' ')}`.trim();
  for (const [name, trace] of Object.entries(TRACES)) {
    const figures = await trace(agents);
    const { model, adapter } = agents.served;
    const what = `${model}, KV ${values['kv-format']}; ${name}, prompts of ${promptTokens} tokens, at most ${maxTokens} more each`;
    console.log(`${what}: ${figures}\n`);
    if (values.record) recordResults('Agents', [{ what, figures }], adapter, command);
  }
};

await main();
