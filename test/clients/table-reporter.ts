/** Ends the run with a table: passed and all cases of every endpoint, by client. */
import type { Reporter, TestModule } from 'vitest/node';
import { SEPARATOR } from './client-case.ts';

interface Score {
  passed: number;
  total: number;
}

export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const scores = new Map<string, Map<string, Score>>();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const [client = '', endpoint] = test.name.split(SEPARATOR);
        const state = test.result().state;
        if (endpoint === undefined || state === 'pending' || state === 'skipped') continue;
        const row = scores.get(endpoint) ?? new Map<string, Score>();
        const score = row.get(client) ?? { passed: 0, total: 0 };
        scores.set(endpoint, row.set(client, score));
        score.total++;
        if (state === 'passed') score.passed++;
      }
    }
    if (scores.size > 0) console.log(`\n${markdown(scores)}\n`);
  }
}

const markdown = (scores: ReadonlyMap<string, ReadonlyMap<string, Score>>): string => {
  const rows = [...scores]
    .sort()
    .flatMap(([endpoint, clients]) =>
      [...clients].map(([client, { passed, total }]) => `| ${endpoint} | ${client} | ${passed} / ${total} |`),
    );
  return ['| Endpoint | Client | Passed |', '|---|---|---|', ...rows].join('\n');
};
