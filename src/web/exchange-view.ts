/** Shows one exchange: the question, and the answer as it grows. */
import type { Answer, Exchange, ToolCall } from './conversation.ts';
import { isLeftOut } from './conversation.ts';
import { make, makeButton, makeCopyButton, setText } from './elements.ts';
import { duration, figureTexts } from './figures.ts';
import { MarkdownView } from './markdown-view.ts';

export interface ExchangeActions {
  /** Asks the same question again. */
  regenerate(): void;
  /** Asks another question in its place. */
  ask(question: string): void;
}

export class ExchangeView {
  readonly element = make('section', 'exchange');
  readonly #actions: ExchangeActions;
  readonly #questionBox = make('div', 'bubble');
  readonly #questionTools = make('div', 'tools');
  readonly #article = make('article', 'answer');
  readonly #thinking = new ReasoningView();
  readonly #prose = new MarkdownView();
  readonly #calls = make('div', 'calls');
  readonly #notes = make('div', 'notes');
  readonly #footer = make('footer', 'tools');
  #shown: Exchange | undefined;
  #isLast: boolean | undefined;
  #isEdited = false;

  constructor(actions: ExchangeActions) {
    this.#actions = actions;
    const asked = make('article', 'question', make('h2', 'visually-hidden', 'You'), this.#questionBox);
    asked.append(this.#questionTools);
    this.#article.append(make('h2', 'visually-hidden', 'Answer'));
    this.#article.append(this.#thinking.element, this.#prose.element, this.#calls, this.#notes, this.#footer);
    this.element.append(asked, this.#article);
  }

  update(exchange: Exchange, isLast: boolean): void {
    const before = this.#shown;
    const hasMoved = this.#isLast !== isLast;
    if (before === exchange && !hasMoved) return;
    this.#shown = exchange;
    this.#isLast = isLast;
    const { answer } = exchange;
    // Whatever happens meanwhile ends an edit: it is about the last question as it was.
    if (this.#isEdited || before?.question !== exchange.question) this.#questionBox.textContent = exchange.question;
    this.#isEdited = false;
    if (before?.answer.calls !== answer.calls) this.#calls.replaceChildren(...answer.calls.map(callElement));
    this.#thinking.update(answer);
    this.#prose.update(answer.text);
    this.#article.setAttribute('aria-busy', String(answer.state === 'running'));
    this.#article.classList.toggle('running', answer.state === 'running');
    if (before?.answer.state === answer.state && !hasMoved && answer.state === 'running') return;
    this.element.classList.toggle('left-out', !isLast && isLeftOut(exchange));
    this.#notes.replaceChildren(...this.#noteElements(answer));
    this.#footer.replaceChildren(...this.#footerElements(answer, isLast));
    this.#questionTools.replaceChildren(...this.#questionElements(exchange, isLast));
  }

  #noteElements({ state, failure, warnings, isCut }: Answer): Node[] {
    const notes: Node[] = warnings.map((text) => make('p', 'note', text));
    if (isCut) notes.push(make('p', 'note', 'The answer ended at the limit of tokens.'));
    if (state === 'stopped') notes.push(make('p', 'note', 'Stopped.'));
    if (failure === undefined) return notes;
    const alert = make('div', 'failure', make('strong', '', failure.title), make('p', '', failure.detail));
    alert.setAttribute('role', 'alert');
    return [...notes, alert];
  }

  #footerElements(answer: Answer, isLast: boolean): Node[] {
    if (answer.state === 'running') return [];
    const copy = answer.text === '' ? undefined : makeCopyButton('this answer', () => this.#shown?.answer.text ?? '');
    const word = answer.state === 'failed' ? 'Try again' : 'Regenerate';
    const again = isLast ? makeButton(word, () => this.#actions.regenerate()) : undefined;
    const figures = figureTexts(answer.figures).map((text) => make('span', '', text));
    return [copy, again, make('p', 'figures', ...figures)].filter((element) => element !== undefined);
  }

  #questionElements({ question, answer }: Exchange, isLast: boolean): Node[] {
    if (!isLast || answer.state === 'running') return [];
    const edit = makeButton('Edit', () => this.#edit(question));
    edit.setAttribute('aria-label', 'Edit your message');
    return [edit];
  }

  #edit(question: string): void {
    const field = make('textarea', 'edit');
    field.value = question;
    field.rows = Math.min(12, question.split('\n').length + 1);
    field.setAttribute('aria-label', 'Your message');
    const leave = (): void => {
      this.#isEdited = false;
      this.#questionBox.textContent = question;
      this.#questionTools.replaceChildren(...(this.#shown ? this.#questionElements(this.#shown, true) : []));
      this.#questionTools.querySelector('button')?.focus();
    };
    const send = (): void => {
      if (field.value.trim() !== '') this.#actions.ask(field.value);
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        leave();
      } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    this.#isEdited = true;
    this.#questionBox.replaceChildren(field);
    this.#questionTools.replaceChildren(makeButton('Cancel', leave), makeButton('Send', send));
    field.focus();
  }
}

/** Open while there is nothing but reasoning, folded once the text begins; whoever folds it himself is obeyed. */
class ReasoningView {
  readonly element = make('details', 'reasoning');
  readonly #summary = make('summary');
  readonly #text = document.createTextNode('');
  #hasChosen = false;

  constructor() {
    this.element.hidden = true;
    this.element.append(this.#summary, make('div', 'thoughts', this.#text));
    this.#summary.addEventListener('click', () => {
      this.#hasChosen = true;
    });
  }

  update({ reasoning, text, state, figures }: Answer): void {
    this.element.hidden = reasoning === '';
    setText(this.#text, reasoning);
    const isThinking = state === 'running' && text === '';
    if (!this.#hasChosen) this.element.open = isThinking && reasoning !== '';
    const { firstMs, firstTextMs } = figures;
    const took = firstMs === undefined || firstTextMs === undefined ? '' : ` for ${duration(firstTextMs - firstMs)}`;
    this.#summary.textContent = isThinking ? 'Thinking …' : `Thought${took}`;
  }
}

const callElement = (call: ToolCall): HTMLElement => {
  const element = make('details', 'call', make('summary', '', 'Call of ', make('code', '', call.name)));
  element.append(make('pre', '', indented(call.arguments)));
  element.open = true;
  return element;
};

/** Still incomplete arguments stay as they are. */
const indented = (json: string): string => {
  try {
    return JSON.stringify(JSON.parse(json), undefined, 2);
  } catch {
    return json;
  }
};
