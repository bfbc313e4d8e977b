/** Where the user writes: Enter sends, the button sends or stops. */
import { find } from './elements.ts';

export interface ComposerActions {
  /** False: it cannot be sent now, and stays where it is. */
  send(text: string): boolean;
  stop(): void;
}

export class Composer {
  readonly #actions: ComposerActions;
  readonly #field = find('message', HTMLTextAreaElement);
  readonly #button = find('send', HTMLButtonElement);
  #isRunning = false;

  constructor(actions: ComposerActions) {
    this.#actions = actions;
    this.#field.addEventListener('input', () => this.#fit());
    this.#field.addEventListener('keydown', (event) => {
      // A method of input (for Chinese, say) takes Enter for itself.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#button.addEventListener('click', () => {
      if (this.#isRunning) this.#actions.stop();
      else this.#send();
      this.focus();
    });
    find('composer', HTMLFormElement).addEventListener('submit', (event) => event.preventDefault());
    this.#fit();
    this.focus();
  }

  set isRunning(isRunning: boolean) {
    this.#isRunning = isRunning;
    const word = isRunning ? 'Stop' : 'Send';
    this.#button.setAttribute('aria-label', word);
    this.#button.title = word;
    this.#button.classList.toggle('running', isRunning);
    this.#fit();
  }

  focus(): void {
    this.#field.focus({ preventScroll: true });
  }

  #send(): void {
    const text = this.#field.value;
    if (this.#isRunning || text.trim() === '' || !this.#actions.send(text)) return;
    this.#field.value = '';
    this.#fit();
  }

  /** As high as its text; the style sheet has the limit. */
  #fit(): void {
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#button.disabled = !this.#isRunning && this.#field.value.trim() === '';
  }
}
