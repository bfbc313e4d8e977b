/** Finds shared test data, which a plain checkout does not have. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `$FIRSTLIGHT_TEST_DATA`, else the folder `shared` beside the project. */
export const testDataFolder = process.env.FIRSTLIGHT_TEST_DATA ?? resolve(root, '../shared');

/** True where the data folder exists: then a test that found no case must fail. */
export const hasTestData = existsSync(testDataFolder);

/** The path of a test file in it, or undefined where it is missing. */
export const testData = (relativePath: string): string | undefined => {
  const path = join(testDataFolder, relativePath);
  return existsSync(path) ? path : undefined;
};
