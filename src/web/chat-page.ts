/** The page: what the user does becomes requests, what the server says becomes the conversation. */
import { streamAnswer } from './answer-stream.ts';
import { Composer } from './composer.ts';
import {
  type Answer,
  beginAnswer,
  type Exchange,
  keptConversation,
  readConversation,
  requestBody,
} from './conversation.ts';
import { ConversationView } from './conversation-view.ts';
import { find } from './elements.ts';
import { KeyDialog } from './key-dialog.ts';
import { ServerLink } from './server-link.ts';
import { readSettings, type Settings } from './settings.ts';
import { SettingsDialog } from './settings-dialog.ts';
import { StatusBar } from './status-bar.ts';
import { readStored, writeStored } from './tab-storage.ts';

export class ChatPage {
  readonly #link: ServerLink;
  readonly #conversation: ConversationView;
  readonly #composer: Composer;
  readonly #status: StatusBar;
  readonly #keyDialog: KeyDialog;
  #settings: Settings;
  #exchanges: readonly Exchange[];
  /** Of the answer that is being made. */
  #running: AbortController | undefined;

  constructor(baseUrl: string) {
    this.#settings = readSettings(readStored('settings'));
    this.#exchanges = readConversation(readStored('conversation'));
    const key = readStored('key');
    const apiKey = typeof key === 'string' ? key : undefined;
    this.#link = new ServerLink({ baseUrl, apiKey, transport: this.#settings.transport }, () => this.#showLink());
    this.#conversation = new ConversationView({
      regenerate: () => this.#ask(this.#exchanges.at(-1)?.question ?? '', this.#exchanges.slice(0, -1)),
      ask: (question) => this.#ask(question, this.#exchanges.slice(0, -1)),
    });
    this.#composer = new Composer({
      send: (text) => this.#ask(text, this.#exchanges),
      stop: () => this.#running?.abort(),
    });
    this.#status = new StatusBar(() => void this.#link.look());
    this.#keyDialog = new KeyDialog((entered) => this.#useKey(entered));
    const settingsDialog = new SettingsDialog({
      save: (settings) => this.#useSettings(settings),
      forgetKey: () => this.#useKey(undefined),
    });
    const openSettings = (): void => settingsDialog.open(this.#settings, readStored('key') !== undefined);
    find('open-settings', HTMLButtonElement).addEventListener('click', openSettings);
    find('new-chat', HTMLButtonElement).addEventListener('click', () => this.#newChat());
  }

  start(): void {
    this.#conversation.show(this.#exchanges);
    this.#status.showUse(this.#exchanges);
    void this.#link.look();
    addEventListener('pagehide', () => {
      this.#keep();
      this.#running?.abort();
    });
    addEventListener('online', () => void this.#link.look());
    addEventListener('pageshow', ({ persisted }) => persisted && void this.#link.look());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && this.#running === undefined) void this.#link.look();
    });
    document.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape' && document.querySelector('dialog[open]') === null) this.#running?.abort();
    });
  }

  /** False: not now. */
  #ask(question: string, earlier: readonly Exchange[]): boolean {
    const { state } = this.#link;
    if (this.#running !== undefined) return false;
    if (state.kind !== 'ready') {
      if (state.kind === 'locked') this.#keyDialog.open();
      else void this.#link.look();
      return false;
    }
    this.#exchanges = [...earlier, { question, answer: beginAnswer(performance.now()) }];
    this.#conversation.show(this.#exchanges);
    this.#conversation.toEnd();
    void this.#answer(state.model.id);
    return true;
  }

  async #answer(model: string): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    this.#composer.isRunning = true;
    this.#keep();
    this.#link.useTransport(this.#settings.transport);
    this.#status.announce('Answering');
    const answer = await streamAnswer({
      client: this.#link.client,
      body: requestBody(this.#exchanges, this.#settings, model),
      signal: running.signal,
      onChange: (changed) => this.#running === running && this.#showAnswer(changed),
    });
    // A new chat may have begun meanwhile.
    if (this.#running !== running) return;
    this.#running = undefined;
    this.#composer.isRunning = false;
    this.#conversation.flush();
    this.#status.showUse(this.#exchanges);
    this.#status.announceEnd(answer);
    this.#keep();
    const { kind } = answer.failure ?? {};
    if (kind === 'gone' && answer.figures.firstMs !== undefined) this.#link.lostAnswer();
    if (kind === 'gone' || kind === 'key') void this.#link.look();
  }

  #showAnswer(answer: Answer): void {
    const last = this.#exchanges.at(-1);
    if (last === undefined) return;
    this.#exchanges = [...this.#exchanges.slice(0, -1), { ...last, answer }];
    this.#conversation.show(this.#exchanges);
  }

  #newChat(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#composer.isRunning = false;
    this.#exchanges = [];
    this.#conversation.show(this.#exchanges);
    this.#conversation.flush();
    this.#status.showUse(this.#exchanges);
    this.#status.announce('New chat');
    this.#keep();
    this.#composer.focus();
  }

  #showLink(): void {
    const { state } = this.#link;
    this.#status.showLink(state);
    this.#status.showUse(this.#exchanges);
    if (state.kind === 'locked') this.#keyDialog.open(readStored('key') === undefined ? undefined : state.failure);
    else this.#keyDialog.close();
  }

  #useKey(key: string | undefined): void {
    this.#running?.abort();
    writeStored('key', key);
    this.#link.useKey(key);
  }

  #useSettings(settings: Settings): void {
    this.#settings = settings;
    writeStored('settings', settings);
  }

  #keep(): void {
    const isKept = writeStored('conversation', keptConversation(this.#exchanges));
    this.#status.showKept(isKept);
  }
}
