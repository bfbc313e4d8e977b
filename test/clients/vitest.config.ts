import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Real clients, fetched once into .peers: they are too large and too slow for every run of the tests.
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/clients/*.test.ts'],
    globalSetup: ['test/clients/install-peers.ts'],
    reporters: ['default', './test/clients/table-reporter.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
