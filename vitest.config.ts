import { defineConfig } from 'vitest/config';

// Kernel and end-to-end tests share the machine's cores with a software GPU: two files at a time is the most that helps.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:clients`: what they drive is fetched first.
    exclude: ['test/clients/**'],
    reporters: ['default', './test/support/closing-line.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
