/** The page's connection to its server: whether it answers, which key it wants, and which model it serves. */
import { ApiError, Client } from '../client/index.ts';
import { type Failure, failureOf } from './failure.ts';
import type { TransportChoice } from './settings.ts';

export interface ServedModel {
  readonly id: string;
  /** In tokens; undefined: the server does not say. */
  readonly contextLength: number | undefined;
}

export type LinkState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'ready'; readonly model: ServedModel }
  /** The server wants another key. */
  | { readonly kind: 'locked'; readonly failure: Failure }
  /** Asked again until it answers. */
  | { readonly kind: 'gone'; readonly failure: Failure };

export interface LinkOptions {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly transport: TransportChoice;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

export class ServerLink {
  readonly #baseUrl: string;
  readonly #onChange: (state: LinkState) => void;
  #apiKey: string | undefined;
  #transport: TransportChoice;
  /** A WebSocket broke within an answer: what can be taken up again is better here. */
  #isShaky = false;
  #client: Client;
  #state: LinkState = { kind: 'connecting' };
  #numFailures = 0;
  #timer: number | undefined;
  /** Answers to earlier looks, with an earlier key, count no more. */
  #numLooks = 0;

  constructor({ baseUrl, apiKey, transport }: LinkOptions, onChange: (state: LinkState) => void) {
    this.#baseUrl = baseUrl;
    this.#apiKey = apiKey;
    this.#transport = transport;
    this.#onChange = onChange;
    this.#client = this.#newClient();
  }

  get client(): Client {
    return this.#client;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Ends requests that run. */
  useKey(apiKey: string | undefined): void {
    this.#apiKey = apiKey;
    this.#renew();
    void this.look();
  }

  /** Ends requests that run, if it is another one. */
  useTransport(transport: TransportChoice): void {
    if (transport === this.#transport) return;
    this.#transport = transport;
    this.#renew();
  }

  /** An answer was lost with its connection: where the choice is ours, the next ones can be taken up again. */
  lostAnswer(): void {
    if (this.#isShaky || this.#transport !== 'auto') return;
    this.#isShaky = true;
    this.#renew();
  }

  /** Asks the server for its model, and goes on asking while it does not answer. Never rejects. */
  async look(): Promise<void> {
    const number = ++this.#numLooks;
    clearTimeout(this.#timer);
    const state = await this.#ask();
    if (number !== this.#numLooks) return;
    this.#state = state;
    this.#numFailures = state.kind === 'gone' ? this.#numFailures + 1 : 0;
    this.#onChange(state);
    if (state.kind !== 'gone') return;
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#numFailures - 1));
    this.#timer = window.setTimeout(() => void this.look(), waitMs);
  }

  async #ask(): Promise<LinkState> {
    try {
      const models = await this.#client.models();
      const served = models.find((model) => model.served) ?? models[0];
      if (served === undefined) throw new ApiError(200, { error: { message: 'the server serves no model' } });
      return { kind: 'ready', model: { id: served.id, contextLength: served.context_length ?? undefined } };
    } catch (error) {
      const failure = failureOf(error);
      return { kind: failure.kind === 'key' ? 'locked' : 'gone', failure };
    }
  }

  #renew(): void {
    this.#client.close();
    this.#client = this.#newClient();
  }

  #newClient(): Client {
    const chosen = this.#transport === 'auto' ? undefined : this.#transport;
    const transport = chosen ?? (this.#isShaky ? 'sse' : undefined);
    return new Client({
      baseUrl: this.#baseUrl,
      ...(this.#apiKey === undefined ? {} : { apiKey: this.#apiKey }),
      ...(transport === undefined ? {} : { transport }),
    });
  }
}
