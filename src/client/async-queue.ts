/** Values that one side pushes and the other takes in its own time. */

export class AsyncQueue<Value> {
  readonly #values: Value[] = [];
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  push(value: Value): void {
    this.#values.push(value);
    this.#wake?.();
  }

  /** Ends it after the values that wait. Only the first end counts. */
  end(): void {
    this.#end ??= {};
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** The next value; undefined after the end. One call at a time. @throws what it failed with */
  async next(): Promise<Value | undefined> {
    for (;;) {
      if (this.#values.length > 0) return this.#values.shift();
      if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
