/**
 * Control tokens that formats are made of, such as `<|end|>`. In a grammar each of them is one noncharacter, which no
 * string and no class of characters there has: by its own text such a token could come within any string.
 */
import type { AnswerFormat, TagFormat } from './answer-format.ts';
import { NONCHARACTERS } from './code-points.ts';

export class MarkerTexts {
  readonly #texts: readonly string[];

  /** @param texts as formats spell the tokens */
  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  /** A token's text in grammars; undefined: it is none of these. */
  hiddenToken(text: string): string | undefined {
    const index = this.#texts.indexOf(text);
    return index < 0 ? undefined : noncharacter(index);
  }

  /** A grammar's text as the tokenizer spells it. */
  shown(text: string): string {
    return this.#texts.reduce((rest, marker, index) => rest.replaceAll(noncharacter(index), marker), text);
  }

  isIn(text: string): boolean {
    return this.#texts.some((marker) => text.includes(marker));
  }

  /** What of a format is text of ours, with the noncharacters in place. */
  hiddenFormat(format: AnswerFormat): AnswerFormat {
    switch (format.type) {
      case 'const_string':
        return { ...format, value: this.#hidden(format.value) };
      case 'sequence':
      case 'or':
        return { ...format, elements: format.elements.map((element) => this.hiddenFormat(element)) };
      case 'tag':
        return this.#hiddenTag(format);
      case 'triggered_tags': {
        const triggers = format.triggers.map((trigger) => this.#hidden(trigger));
        return { ...format, triggers, tags: format.tags.map((tag) => this.#hiddenTag(tag)) };
      }
      case 'tags_with_separator': {
        const tags = format.tags.map((tag) => this.#hiddenTag(tag));
        return { ...format, separator: this.#hidden(format.separator), tags };
      }
      default:
        return format;
    }
  }

  #hiddenTag(tag: TagFormat): TagFormat {
    const { begin, content, end } = tag;
    return { ...tag, begin: this.#hidden(begin), content: this.hiddenFormat(content), end: this.#hidden(end) };
  }

  #hidden(text: string): string {
    return this.#texts.reduce((rest, marker, index) => rest.replaceAll(marker, noncharacter(index)), text);
  }
}

const noncharacter = (index: number): string => String.fromCodePoint(NONCHARACTERS[0] + index);
