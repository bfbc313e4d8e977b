/** Where the user changes the settings. They count from the next answer on. */
import { find } from './elements.ts';
import { DEFAULT_SETTINGS, isTransport, parseTools, type Settings } from './settings.ts';

export interface SettingsActions {
  save(settings: Settings): void;
  forgetKey(): void;
}

export class SettingsDialog {
  readonly #dialog = find('settings', HTMLDialogElement);
  readonly #system = find('system', HTMLTextAreaElement);
  readonly #temperature = find('temperature', HTMLInputElement);
  readonly #maxTokens = find('max-tokens', HTMLInputElement);
  readonly #transport = find('transport', HTMLSelectElement);
  readonly #tools = find('tools', HTMLTextAreaElement);
  readonly #forgetKey = find('forget-key', HTMLButtonElement);

  constructor({ save, forgetKey }: SettingsActions) {
    find('settings-cancel', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
    this.#forgetKey.addEventListener('click', () => {
      this.#dialog.close();
      forgetKey();
    });
    this.#tools.addEventListener('input', () => this.#tools.setCustomValidity(''));
    find('settings-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#hasTools()) return;
      save(this.#read());
      this.#dialog.close();
    });
  }

  open({ system, temperature, maxTokens, transport, tools }: Settings, hasKey: boolean): void {
    this.#system.value = system;
    this.#temperature.value = temperature?.toString() ?? '';
    this.#maxTokens.value = maxTokens?.toString() ?? '';
    this.#transport.value = transport;
    this.#tools.value = tools;
    this.#tools.setCustomValidity('');
    this.#forgetKey.hidden = !hasKey;
    this.#dialog.showModal();
  }

  #hasTools(): boolean {
    if (parseTools(this.#tools.value) !== undefined) return true;
    this.#tools.setCustomValidity('This is no list in JSON: [{"type": "function", …}]');
    this.#tools.reportValidity();
    return false;
  }

  /** The browser has checked the ranges. */
  #read(): Settings {
    const [temperature, maxTokens] = [this.#temperature.valueAsNumber, this.#maxTokens.valueAsNumber];
    const transport = this.#transport.value;
    return {
      system: this.#system.value,
      tools: this.#tools.value,
      transport: isTransport(transport) ? transport : DEFAULT_SETTINGS.transport,
      ...(Number.isNaN(temperature) ? {} : { temperature }),
      ...(Number.isNaN(maxTokens) ? {} : { maxTokens }),
    };
  }
}
