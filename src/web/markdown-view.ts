/** Shows Markdown as elements, and grows with its text: blocks that stay as they are keep their elements. */
import { make, makeCopyButton, setText } from './elements.ts';
import { type Block, type Inline, parseMarkdown } from './markdown.ts';

interface Shown {
  /** The block as text, to see whether it has changed. */
  readonly source: string;
  readonly block: Block;
  readonly element: HTMLElement;
}

export class MarkdownView {
  readonly element = make('div', 'prose');
  #text = '';
  #shown: Shown[] = [];

  update(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    const blocks = parseMarkdown(text);
    const shown = blocks.map((block, index) => this.#show(block, this.#shown[index]));
    for (const { element } of this.#shown.slice(blocks.length)) element.remove();
    this.#shown = shown;
  }

  #show(block: Block, before: Shown | undefined): Shown {
    const source = JSON.stringify(block);
    if (before?.source === source) return before;
    if (before?.block.kind === 'code' && block.kind === 'code' && before.block.language === block.language) {
      const code = before.element.querySelector('code')?.firstChild;
      if (code instanceof Text) {
        setText(code, block.text);
        return { source, block, element: before.element };
      }
    }
    const element = blockElement(block);
    if (before === undefined) this.element.append(element);
    else before.element.replaceWith(element);
    return { source, block, element };
  }
}

const blockElement = (block: Block): HTMLElement => {
  switch (block.kind) {
    case 'paragraph':
      return make('p', '', ...block.children.map(inlineNode));
    case 'heading':
      // The page has a heading of its own above each answer.
      return make(`h${Math.min(6, block.level + 2)}` as 'h3', '', ...block.children.map(inlineNode));
    case 'code':
      return codeElement(block.language, block.text);
    case 'quote':
      return make('blockquote', '', ...block.blocks.map(blockElement));
    case 'list':
      return listElement(block.firstNumber, block.items);
    case 'rule':
      return make('hr');
  }
};

const listElement = (firstNumber: number | undefined, items: readonly (readonly Block[])[]): HTMLElement => {
  const entries = items.map((blocks) => make('li', '', ...blocks.map(blockElement)));
  if (firstNumber === undefined) return make('ul', '', ...entries);
  const list = make('ol', '', ...entries);
  list.start = firstNumber;
  return list;
};

const codeElement = (language: string, text: string): HTMLElement => {
  const code = make('code', '', document.createTextNode(text));
  const copy = makeCopyButton('this code', () => code.textContent ?? '');
  const head = make('figcaption', '', make('span', '', language === '' ? 'code' : language));
  if (copy !== undefined) head.append(copy);
  const pre = make('pre', '', code);
  // A wide block is scrolled with the keyboard, too.
  pre.tabIndex = 0;
  return make('figure', 'code', head, pre);
};

const inlineNode = (inline: Inline): Node => {
  switch (inline.kind) {
    case 'text':
      return document.createTextNode(inline.text);
    case 'code':
      return make('code', '', inline.text);
    case 'strong':
      return make('strong', '', ...inline.children.map(inlineNode));
    case 'emphasis':
      return make('em', '', ...inline.children.map(inlineNode));
  }
};
