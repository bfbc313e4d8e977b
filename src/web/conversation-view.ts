/** The exchanges one below the other; follows the end of the last one, unless the reader has scrolled away from it. */
import type { Exchange } from './conversation.ts';
import { find } from './elements.ts';
import { type ExchangeActions, ExchangeView } from './exchange-view.ts';

/** Closer to the end than this counts as at the end. */
const END_PIXELS = 80;

export class ConversationView {
  readonly #actions: ExchangeActions;
  readonly #list = find('exchanges', HTMLElement);
  readonly #welcome = find('welcome', HTMLElement);
  readonly #toEnd = find('to-end', HTMLButtonElement);
  readonly #views: ExchangeView[] = [];
  #exchanges: readonly Exchange[] = [];
  #frame: number | undefined;
  #isFollowing = true;

  constructor(actions: ExchangeActions) {
    this.#actions = actions;
    addEventListener('scroll', () => this.#look(), { passive: true });
    addEventListener('resize', () => this.#isFollowing && this.toEnd());
    this.#toEnd.addEventListener('click', () => this.toEnd());
  }

  /** With the next frame: tokens may come faster than frames. */
  show(exchanges: readonly Exchange[]): void {
    this.#exchanges = exchanges;
    this.#frame ??= requestAnimationFrame(() => this.flush());
  }

  /** Now. A page in the background has no frames. */
  flush(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    const exchanges = this.#exchanges;
    this.#welcome.hidden = exchanges.length > 0;
    for (const { element } of this.#views.splice(exchanges.length)) element.remove();
    for (const [index, exchange] of exchanges.entries()) {
      const view = this.#views[index] ?? this.#add();
      view.update(exchange, index === exchanges.length - 1);
    }
    if (this.#isFollowing) this.toEnd();
    this.#look();
  }

  toEnd(): void {
    this.#isFollowing = true;
    scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
  }

  #add(): ExchangeView {
    const view = new ExchangeView(this.#actions);
    this.#views.push(view);
    this.#list.append(view.element);
    return view;
  }

  #look(): void {
    const { scrollHeight } = document.documentElement;
    this.#isFollowing = innerHeight + scrollY >= scrollHeight - END_PIXELS;
    this.#toEnd.hidden = this.#isFollowing;
  }
}
