/** A real browser for tests: Debian's Chromium, or the one that FIRSTLIGHT_CHROMIUM names. */
import { existsSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, onTestFinished } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Undefined: there is none. */
const executablePath = [process.env.FIRSTLIGHT_CHROMIUM ?? [], PLACES].flat().find((path) => existsSync(path));

export const hasBrowser = executablePath !== undefined;

/** For the names of tests that are skipped without it. */
export const NEEDS_BROWSER = 'in a browser (there is none: install chromium, or name one with FIRSTLIGHT_CHROMIUM)';

let launching: Promise<Browser> | undefined;

const launch = async (): Promise<Browser> => {
  // A package that takes a while to load, and is of no use without a browser.
  const { chromium } = await import('playwright-core');
  // Chromium's sandbox refuses to work for root, as whom containers run.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: executablePath!, args });
};

afterAll(async () => {
  await (await launching)?.close();
});

export interface Visit {
  readonly page: Page;
  /** Errors of the page's scripts and breaches of its policy so far; what the network does is no fault of the page. */
  readonly faults: string[];
}

const NETWORK = /^(Failed to load resource|WebSocket connection to)/;

/** Opens a page in a profile of its own, gone after the test. */
export const visit = async (url: string): Promise<Visit> => {
  launching ??= launch();
  const context = await (await launching).newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', ({ message }) => faults.push(message));
  page.on('console', (line) => {
    if (['error', 'warning'].includes(line.type()) && !NETWORK.test(line.text())) faults.push(line.text());
  });
  await page.goto(url);
  return { page, faults };
};
