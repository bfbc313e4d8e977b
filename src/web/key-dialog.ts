/** Asks for the server's API key. */
import { find } from './elements.ts';
import type { Failure } from './failure.ts';

export class KeyDialog {
  readonly #dialog = find('key-dialog', HTMLDialogElement);
  readonly #field = find('key', HTMLInputElement);
  readonly #failure = find('key-failure', HTMLElement);

  constructor(onKey: (key: string) => void) {
    find('key-cancel', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
    find('key-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      onKey(this.#field.value.trim());
    });
  }

  /** @param failure why the last key was none */
  open(failure?: Failure): void {
    this.#failure.hidden = failure === undefined;
    this.#failure.textContent = failure === undefined ? '' : failure.detail;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#field.select();
  }

  close(): void {
    this.#field.value = '';
    this.#dialog.close();
  }
}
