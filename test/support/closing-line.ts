/** Ends a test run with one plain line, `N passed, N failed`, for whatever reads a log by its last line. */
import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  /** A file that cannot be loaded, a failing hook and an unhandled error count as one failure each. */
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        if (state === 'failed') failed += 1;
      }
    }
    // At the very end: the other reporters print their summaries in this same turn.
    process.once('exit', () => writeSync(process.stdout.fd, `\n${passed} passed, ${failed} failed\n`));
  }
}
