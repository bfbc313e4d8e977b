/** A test whose name says which client talks to which endpoint, for the table at the end. */
import { test } from 'vitest';

export const SEPARATOR = ' | ';

export const clientCase = (client: string, endpoint: string, promise: string, run: () => Promise<void>): void => {
  test([client, endpoint, promise].join(SEPARATOR), run);
};
