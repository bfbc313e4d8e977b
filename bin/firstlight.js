#!/usr/bin/env node
// The `firstlight` command: does the set-up that is missing, then runs in this same process, so that signals reach it.
import { needsAdapter, SetupError, setUp } from '../scripts/setup.mjs';

const argv = process.argv.slice(2);
try {
  await setUp({ adapter: needsAdapter(argv) });
  const { main } = await import(new URL('../dist/cli.js', import.meta.url).href);
  process.exitCode = await main(argv);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`firstlight: ${error.message}\n`);
  process.exitCode = 1;
}
