/** The one door to web-xgrammar, which says which tokens may follow in a grammar. */
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import type * as XGrammar from '@mlc-ai/web-xgrammar';
import { EngineError } from '../../runtime/errors.ts';

export type XGrammarLibrary = typeof XGrammar;

/** Node calls the compiler of CommonJS modules so; its types leave it out. */
interface CommonJsModule {
  exports: unknown;
  _compile(source: string, path: string): void;
}

/** What the library has written to the console since it was last looked at. */
let said: string[] = [];

/** The package says "type": "module" but holds a UMD file, which Node would refuse to load by either name. */
export const loadXGrammar = async (): Promise<XGrammarLibrary> => {
  const path = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar');
  const module = new (Module as unknown as new (id: string) => CommonJsModule)(path.replace(/js$/, 'cjs'));
  const { error, warn } = console;
  const listen = (...words: unknown[]): void => {
    said.push(words.map(String).join(' '));
  };
  // It keeps the console that it finds when it starts, which is with the first call.
  console.error = listen;
  console.warn = listen;
  try {
    module._compile(readFileSync(path, 'utf8'), path);
    const library = module.exports as XGrammarLibrary;
    (await library.Grammar.fromEBNF('root ::= "a"')).dispose();
    return library;
  } finally {
    console.error = error;
    console.warn = warn;
  }
};

const FATAL = /^\[FATAL\] \S+: (?<reason>.*)$/s;

/**
 * Runs what the library may refuse. It does so by writing to the console and aborting; the next call works again.
 * @param what is compiled, for the message
 * @param param the request's field, if it is one
 * @throws EngineError invalid_request with the library's own words
 */
export const orRefuse = async <Value>(what: string, run: () => Promise<Value>, param?: string): Promise<Value> => {
  said = [];
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    // An exception of C++ that nothing there catches: formats that we put together wrongly.
    if (typeof cause === 'number') throw new Error(`the library does not take ${what}`);
    const reason = said.map((line) => FATAL.exec(line)?.groups?.reason).find((text) => text !== undefined);
    const message = `${what} cannot be compiled: ${reason ?? String(cause)}`;
    throw new EngineError('invalid_request', message, param === undefined ? {} : { param }, { cause });
  } finally {
    said = [];
  }
};
