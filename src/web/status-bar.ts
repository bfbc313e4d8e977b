/** What the page says of itself: the model, how full its context is, whether the server answers. */
import type { Answer, Exchange } from './conversation.ts';
import { find } from './elements.ts';
import { contextText } from './figures.ts';
import type { LinkState } from './server-link.ts';

export class StatusBar {
  readonly #model = find('model', HTMLElement);
  readonly #modelName = find('model-name', HTMLElement);
  readonly #context = find('context', HTMLElement);
  readonly #meter = find('context-meter', HTMLMeterElement);
  readonly #contextText = find('context-text', HTMLElement);
  readonly #banner = find('banner', HTMLElement);
  readonly #bannerText = find('banner-text', HTMLElement);
  readonly #retry = find('banner-retry', HTMLButtonElement);
  readonly #announcer = find('announcer', HTMLElement);
  #contextLength: number | undefined;
  #hasLostServer = false;

  constructor(onRetry: () => void) {
    this.#retry.addEventListener('click', onRetry);
  }

  showLink(state: LinkState): void {
    this.#model.dataset.state = state.kind;
    if (state.kind === 'ready') {
      this.#contextLength = state.model.contextLength;
      this.#modelName.textContent = state.model.id;
      this.#say('');
      if (this.#hasLostServer) this.announce('The server answers again');
    } else if (state.kind === 'gone') {
      this.#modelName.textContent = 'not connected';
      const { kind, title, detail } = state.failure;
      this.#say(`${kind === 'gone' ? 'The server does not answer.' : `${title}. ${detail}`} Trying again …`);
    } else this.#modelName.textContent = state.kind === 'locked' ? 'API key needed' : 'connecting …';
    this.#hasLostServer = state.kind === 'gone';
  }

  /** How much of the context the conversation took when the server last counted. */
  showUse(exchanges: readonly Exchange[]): void {
    const counted = exchanges.findLast(({ answer }) => answer.figures.promptTokens !== undefined)?.answer.figures;
    const length = this.#contextLength;
    this.#context.hidden = length === undefined;
    if (length === undefined) return;
    const used = (counted?.promptTokens ?? 0) + (counted?.completionTokens ?? 0);
    this.#meter.max = length;
    this.#meter.high = length * 0.9;
    this.#meter.value = used;
    this.#contextText.textContent = contextText(used, length);
  }

  /** Says once that this browser keeps nothing over a reload. */
  showKept(isKept: boolean): void {
    if (isKept || !this.#banner.hidden) return;
    this.#say(
      'This browser has no room for the conversation, or does not allow it: a reload of the page loses it.',
      false,
    );
  }

  announce(text: string): void {
    this.#announcer.textContent = text;
  }

  announceEnd({ state }: Answer): void {
    const words = { running: '', done: 'The answer is complete', stopped: 'Stopped', failed: 'The answer failed' };
    this.announce(words[state]);
  }

  #say(text: string, canRetry = true): void {
    this.#banner.hidden = text === '';
    this.#bannerText.textContent = text;
    this.#retry.hidden = !canRetry;
  }
}
