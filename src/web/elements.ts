/** Finds and makes elements. Text only ever becomes text: nothing here reads markup. */

/** @throws Error when the page has no such element */
export const find = <Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind => {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
};

type Children = readonly (Node | string)[];

export const make = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  ...children: Children
): HTMLElementTagNameMap[Name] => {
  const element = document.createElement(name);
  if (className !== '') element.className = className;
  element.append(...children);
  return element;
};

export const makeButton = (text: string, onClick: () => void): HTMLButtonElement => {
  const button = make('button', 'quiet', text);
  button.type = 'button';
  button.addEventListener('click', onClick);
  return button;
};

/** Copies a text and says so on the button. Undefined where the browser has no clipboard for this page. */
export const makeCopyButton = (what: string, text: () => string): HTMLButtonElement | undefined => {
  // Its type does not say so, but it exists in secure contexts alone.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) return undefined;
  const button = makeButton('Copy', () => {
    clipboard.writeText(text()).then(
      () => say('Copied'),
      () => say('Not allowed'),
    );
  });
  const say = (word: string): void => {
    button.textContent = word;
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1500);
  };
  button.setAttribute('aria-label', `Copy ${what}`);
  return button;
};

/** Makes a text node's text this one; what only grows is appended, so that a selection in it stays. */
export const setText = (node: Text, text: string): void => {
  if (node.data === text) return;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
};
