/** A stand-in until the scripted model exists: the same script, none of the scheduling. */
import type {
  Engine,
  EngineStats,
  Generation,
  GenerationEvent,
  GenerationRequest,
  Prompt,
} from '../../src/runtime/api.ts';
import { EngineError } from '../../src/runtime/errors.ts';

export interface Script {
  readonly contextLength?: number;
  readonly reasoningFormat?: 'none' | 'think';
  readonly toolFormat?: 'none' | 'hermes';
  readonly loadMs?: number;
  readonly replies: readonly {
    readonly when?: string;
    readonly times?: number;
    readonly tokens: readonly string[];
    readonly failAfterTokens?: number;
    readonly finish?: 'stop' | 'length';
  }[];
}

export type BeforeToken = (sequenceId: number, index: number) => Promise<void>;

const textOfPrompt = (prompt: Prompt): string => {
  if (prompt.kind === 'text') return prompt.text;
  if (prompt.kind === 'tokens') return 'x'.repeat(prompt.tokenIds.length);
  return prompt.messages
    .map(
      ({ role, content, reasoning }) =>
        `${role}:${reasoning ?? ''}${typeof content === 'string' ? content : content.map((part) => part.text).join('')}`,
    )
    .join('\n');
};

const lastText = (prompt: Prompt): string => textOfPrompt(prompt).split('\n').at(-1) ?? '';

export class FakeEngine implements Engine {
  readonly adapter = 'scripted';
  readonly model;
  readonly requests: GenerationRequest[] = [];
  statsOverride: Partial<EngineStats> = {};
  running = 0;
  #script: Script;
  #beforeToken: BeforeToken;
  #sequenceId = 0;
  maxQueue = Number.POSITIVE_INFINITY;

  constructor(script: Script, beforeToken: BeforeToken = () => Promise.resolve()) {
    this.#script = script;
    this.#beforeToken = beforeToken;
    this.model = {
      id: 'scripted',
      architecture: 'scripted',
      contextLength: script.contextLength ?? 8192,
      vocabularySize: 300,
      hasTokenizer: true,
      hasChatTemplate: true,
      supportsThinking: script.reasoningFormat === 'think',
      fingerprint: 'f'.repeat(64),
      createdAt: 1_700_000_000,
    };
  }

  countTokens(prompt: Prompt): Promise<number> {
    return Promise.resolve(Buffer.byteLength(textOfPrompt(prompt)));
  }

  async generate(request: GenerationRequest, signal: AbortSignal): Promise<Generation> {
    const promptTokens = await this.countTokens(request.prompt);
    const { contextLength } = this.model;
    const { maxTokens = 0 } = request;
    if (promptTokens + maxTokens > contextLength)
      throw new EngineError('context_length_exceeded', 'too long', { promptTokens, contextLength, maxTokens });
    if (this.running >= this.maxQueue) throw new EngineError('overloaded', 'queue full', { retryAfterSeconds: 2 });
    this.requests.push(request);
    this.running++;
    return { promptTokens, events: this.#events(request, promptTokens, signal) };
  }

  async *#events(
    request: GenerationRequest,
    promptTokens: number,
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent> {
    const id = this.#sequenceId++;
    const aborted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(new EngineError('aborted', 'aborted'));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort);
    });
    aborted.catch(() => {});
    try {
      yield { type: 'start', promptTokens, cachedTokens: 0 };
      const reply = this.#script.replies.find(
        ({ when }) => when === undefined || new RegExp(when).test(lastText(request.prompt)),
      );
      let completionTokens = 0;
      let reasoningTokens = 0;
      let thinking = false;
      let stopSequence: string | undefined;
      for (const token of reply?.tokens ?? []) {
        if (completionTokens === reply?.failAfterTokens) throw new EngineError('internal', 'scripted failure');
        if (completionTokens === request.maxTokens) break;
        await Promise.race([this.#beforeToken(id, completionTokens), aborted]);
        completionTokens++;
        stopSequence = request.stop.find((stop) => token.includes(stop));
        if (stopSequence !== undefined) break;
        if (token === '<think>') thinking = true;
        else if (token === '</think>') thinking = false;
        else {
          if (thinking) reasoningTokens++;
          const { topLogprobs } = request.sampling;
          const bytes = Buffer.from(token);
          const logprob = { tokenId: 1, bytes, logprob: -0.5 };
          yield {
            type: thinking ? 'reasoning' : 'text',
            text: token,
            ...(topLogprobs === undefined ? {} : { logprobs: [{ ...logprob, top: topLogprobs > 0 ? [logprob] : [] }] }),
          };
        }
      }
      const usage = { promptTokens, cachedTokens: 0, completionTokens, reasoningTokens };
      const isCut = completionTokens < (reply?.tokens.length ?? 0) || reply?.finish === 'length';
      if (stopSequence !== undefined) yield { type: 'finish', reason: 'stop_sequence', stopSequence, usage };
      else yield { type: 'finish', reason: isCut ? 'length' : 'stop', usage };
    } finally {
      this.running--;
    }
  }

  stats(): EngineStats {
    return {
      running: this.running,
      waiting: 0,
      kvBlocksTotal: 100,
      kvBlocksUsed: 0,
      kvBlocksCached: 0,
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: 0,
      preemptions: 0,
      steps: 0,
      deviceLosses: 0,
      gpuBytes: 0,
      ...this.statsOverride,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
