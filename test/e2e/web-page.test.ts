/** The chat page in a real browser, against a real server: what a reader sees, and what becomes of the server's work. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Page } from 'playwright-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startBreakingProxy } from '../support/breaking-proxy.ts';
import { hasBrowser, NEEDS_BROWSER, type Visit, visit } from '../support/browser.ts';
import { ensureBuilt } from '../support/built.ts';
import { scriptedModel, startServer } from '../support/firstlight.ts';
import { type Script, type Served, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const HOSTILE = [
  '<img src=x onerror="document.title=1">',
  '<script>document.title=1</script>',
  '[x](javascript:document.title=1)',
  '**<b>**',
  '`</code><svg onload=alert(1)>`',
];
const CALL = '<tool_call>{"name": "look_up", "arguments": {"city": "Rome"}}</tool_call>';
const SCRIPT: Script = {
  reasoningFormat: 'think',
  toolFormat: 'hermes',
  replies: [
    { when: 'hostile', tokens: HOSTILE.map((piece) => `${piece}\n\n`) },
    { when: 'think', tokens: ['<think>', 'Hm', ', well', '</think>', 'Done'] },
    { when: 'tool', tokens: ['Let me see.', CALL] },
    { when: 'wide', tokens: [`${'x'.repeat(500)}\n\n`, `\`\`\`ts\n${'y '.repeat(500)}\n\`\`\``] },
    { when: 'scroll', tokens: Array.from({ length: 6 }, (_, index) => `${index}\n\n`.repeat(30)) },
    { when: 'fail', tokens: ['Half', ' an'], failAfterTokens: 1 },
    { tokens: ['One', ' two', ' three', ' **four**', ' five'] },
  ],
};
const SENTENCE = 'One two three four five';

const visits: Visit[] = [];

/** A page that knows its model. */
const open = async (url: string): Promise<Page> => {
  const visited = await visit(url);
  visits.push(visited);
  await visited.page.locator('#model[data-state=ready], #key-dialog[open]').waitFor();
  return visited.page;
};

const field = (page: Page) => page.getByRole('textbox', { name: 'Your message' });
const answers = (page: Page) => page.locator('.answer');
const lastAnswer = (page: Page) => answers(page).last();
const prose = (page: Page) => lastAnswer(page).locator('.prose');
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

const ask = async (page: Page, text: string): Promise<void> => {
  await field(page).fill(text);
  await field(page).press('Enter');
};

/** Waits until the last answer is no longer being made. */
const settled = (page: Page): Promise<void> => lastAnswer(page).locator('.figures').waitFor({ state: 'attached' });

const shows = (page: Page, text: string): Promise<void> => prose(page).getByText(text, { exact: true }).waitFor();

const choose = async (page: Page, settings: Readonly<Record<string, string>>): Promise<void> => {
  await button(page, 'Settings').click();
  for (const [label, value] of Object.entries(settings)) {
    if (label === 'Connection') await page.getByLabel(label).selectOption(value);
    else {
      if (label === 'Tools') await page.locator('#tools-label').click();
      await page.getByRole('dialog').getByLabel(label).fill(value);
    }
  }
  await button(page, 'Save').click();
};

/** One that can be bound again at once, unlike those that the system has chosen for the server. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

const isIdle = ({ engine }: Pick<Served, 'engine'>): boolean => engine.stats().running + engine.stats().waiting === 0;

const gated = async (options: ServeOptions = {}) => {
  const gate = new TokenGate();
  return { gate, ...(await serve(SCRIPT, { beforeToken: gate.beforeToken, ...options })) };
};

/** By which way requests go: WebSockets opened, and bodies posted. */
const watch = (page: Page) => {
  const seen = { numSockets: 0, bodies: [] as Record<string, unknown>[], resumed: 0 };
  page.on('websocket', () => seen.numSockets++);
  page.on('request', (request) => {
    if (request.method() === 'POST') seen.bodies.push(request.postDataJSON() as Record<string, unknown>);
    if (request.method() === 'GET' && request.url().includes('/v1/streams/')) seen.resumed++;
  });
  return seen;
};

if (!hasBrowser) console.log(`the chat page is not tried ${NEEDS_BROWSER}`);

describe.skipIf(!hasBrowser)(hasBrowser ? 'in a browser' : NEEDS_BROWSER, () => {
  beforeAll(ensureBuilt);
  afterEach(() => {
    expect(visits.splice(0).flatMap(({ faults }) => faults)).toEqual([]);
  });

  describe.each(TRANSPORTS.flatMap((transport) => [[transport, 'websocket'] as const, [transport, 'sse'] as const]))(
    'over %s and %s',
    (transport, way) => {
      test('shows an answer piece by piece, then its figures, and goes on from there', async () => {
        const { gate, url, log } = await gated({ transport });
        const page = await open(url);
        const seen = watch(page);
        if (way === 'sse') await choose(page, { Connection: 'sse' });
        gate.allow(2);
        await ask(page, 'private question');
        await shows(page, 'One two');
        expect(await lastAnswer(page).getAttribute('aria-busy')).toBe('true');
        gate.open();
        await settled(page);
        expect(await prose(page).innerText()).toBe(SENTENCE);
        expect(await prose(page).locator('strong').innerText()).toBe('four');
        expect(await lastAnswer(page).locator('.figures').innerText()).toMatch(
          /^[\d.]+ m?s to the first token.*5 tokens.*prompt of 18 tokens/s,
        );
        await ask(page, 'and then?');
        await answers(page).nth(1).waitFor();
        await settled(page);
        expect(await prose(page).innerText()).toBe(SENTENCE);
        expect(await lastAnswer(page).locator('.figures').innerText()).toMatch(/prompt of \d\d tokens, \d\d cached/);
        expect(await page.locator('#context-text').innerText()).toMatch(/^\d\d of 8,192 tokens$/);
        expect([seen.numSockets, seen.bodies.length]).toEqual(way === 'sse' ? [0, 2] : [1, 0]);
        expect(JSON.stringify(log)).not.toContain('private');
      });
    },
  );

  test.each(['websocket', 'sse'])(
    'Stop, and leaving the page, end the server’s work within a step, over %s',
    async (way) => {
      const { gate, url, engine } = await gated();
      const page = await open(url);
      if (way === 'sse') await choose(page, { Connection: 'sse' });
      const ways = [
        () => button(page, 'Stop').click(),
        () => page.keyboard.press('Escape'),
        () => button(page, 'New chat').click(),
        () => page.goto('about:blank'),
      ];
      for (const [index, stop] of ways.entries()) {
        gate.allow(2);
        await ask(page, 'go');
        await answers(page)
          .nth(index % 3)
          .waitFor();
        await shows(page, 'One two');
        await stop();
        if (index < 2) await lastAnswer(page).getByText('Stopped.').waitFor();
        gate.allow(3);
        await until(() => isIdle({ engine }));
        if (index < 2) expect(await prose(page).innerText()).toBe('One two');
      }
      gate.open();
    },
  );

  test('an answer over server-sent events goes on where its connection broke', async () => {
    const { gate, server } = await gated();
    const proxy = await startBreakingProxy(server.port);
    const page = await open(proxy.url);
    const seen = watch(page);
    await choose(page, { Connection: 'sse' });
    for (const count of [1, 2, 4]) {
      gate.allow(count);
      if (count === 1) await ask(page, 'go');
      await shows(page, SENTENCE.split(' ').slice(0, count).join(' '));
      proxy.breakAll();
    }
    gate.open();
    await settled(page);
    expect(await prose(page).innerText()).toBe(SENTENCE);
    expect(await lastAnswer(page).locator('.failure').count()).toBe(0);
    expect([seen.bodies.length, seen.resumed]).toEqual([1, expect.any(Number)]);
    expect(seen.resumed).toBeGreaterThanOrEqual(3);
  });

  test('a WebSocket that breaks within an answer is told, its work ends, and the next try can be taken up again', async () => {
    const { gate, server, engine } = await gated();
    const proxy = await startBreakingProxy(server.port);
    const page = await open(proxy.url);
    const seen = watch(page);
    gate.allow(2);
    await ask(page, 'go');
    await shows(page, 'One two');
    proxy.breakAll();
    await lastAnswer(page).getByRole('alert').getByText('connection to the server was lost').waitFor();
    gate.allow(3);
    await until(() => isIdle({ engine }));
    await button(page, 'Try again').click();
    await shows(page, 'One two three');
    proxy.breakAll();
    gate.open();
    await shows(page, SENTENCE);
    expect(await answers(page).count()).toBe(1);
    expect([seen.numSockets, seen.bodies.length]).toEqual([1, 1]);
  });

  test('says that the server is gone, and goes on once it is back', async () => {
    const port = await freePort();
    const { server, url } = await serve(SCRIPT, { port });
    const page = await open(url);
    await ask(page, 'first');
    await shows(page, SENTENCE);
    await server.close();
    await ask(page, 'second');
    await lastAnswer(page).getByRole('alert').waitFor();
    await page.locator('#banner').getByText('Trying again').waitFor();
    await serve(SCRIPT, { port });
    await page.locator('#model[data-state=ready]').waitFor();
    expect(await page.locator('#banner').isVisible()).toBe(false);
    await button(page, 'Try again').click();
    await shows(page, SENTENCE);
    await ask(page, 'third');
    await answers(page).nth(2).waitFor();
    await settled(page);
    expect(await prose(page).innerText()).toBe(SENTENCE);
  });

  test('asks for the key, says when it is wrong, and keeps it in this tab alone', async () => {
    const { url } = await serve(SCRIPT, { apiKeys: ['right-key'] });
    const page = await open(url);
    const dialog = page.getByRole('dialog', { name: 'API key' });
    await dialog.getByLabel('Key').fill('wrong-key');
    await button(page, 'Connect').click();
    await dialog.getByRole('alert').getByText('not one of this server’s keys').waitFor();
    await dialog.getByLabel('Key').fill('right-key');
    await dialog.getByLabel('Key').press('Enter');
    await page.locator('#model[data-state=ready]').waitFor();
    expect(await dialog.isVisible()).toBe(false);
    const seen = watch(page);
    await ask(page, 'go');
    await shows(page, SENTENCE);
    expect(seen.numSockets).toBe(1);
    expect(await page.evaluate('[localStorage.length, document.cookie, sessionStorage["firstlight.key"]]')).toEqual([
      0,
      '',
      '"right-key"',
    ]);
    await page.reload();
    await page.locator('#model[data-state=ready]').waitFor();
    await button(page, 'Settings').click();
    await button(page, 'Forget the API key').click();
    await dialog.waitFor();
    expect(await page.evaluate('sessionStorage["firstlight.key"]')).toBeUndefined();
  });

  test('whatever a model writes stays text', async () => {
    const { url } = await serve(SCRIPT);
    const page = await open(url);
    await ask(page, 'hostile');
    await settled(page);
    const text = await prose(page).innerText();
    for (const piece of HOSTILE) expect(text).toContain(piece.replaceAll(/\*\*|`/g, ''));
    expect(await page.locator('#exchanges').locator('img, script, svg, a, b').count()).toBe(0);
    expect(await page.title()).toBe('Firstlight');
    // And were the page to try, the browser would not let it.
    const tried = 'try { document.body.innerHTML = "<b>x</b>"; "done" } catch (error) { error.name }';
    expect(await page.evaluate(tried)).toBe('TypeError');
    expect(visits.at(-1)?.faults.splice(0)).toEqual([expect.stringContaining('TrustedHTML')]);
  });

  test('folds reasoning, and shows calls, limits and failures', async () => {
    const { gate, url } = await gated();
    const page = await open(url);
    gate.allow(3);
    await ask(page, 'think');
    await lastAnswer(page).getByText('Hm, well').waitFor();
    gate.open();
    await shows(page, 'Done');
    await settled(page);
    expect(await lastAnswer(page).getByText('Hm, well').isVisible()).toBe(false);
    await lastAnswer(page)
      .getByText(/^Thought for/)
      .click();
    await lastAnswer(page).getByText('Hm, well').waitFor();
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }];
    await choose(page, { Tools: JSON.stringify(tools) });
    await ask(page, 'tool');
    await lastAnswer(page).getByText('Call of look_up').waitFor();
    expect(await lastAnswer(page).locator('.call pre').innerText()).toBe('{\n  "city": "Rome"\n}');
    await settled(page);
    await choose(page, { 'Maximum tokens': '2' });
    await ask(page, 'go');
    await lastAnswer(page).getByText('ended at the limit of tokens').waitFor();
    expect(await prose(page).innerText()).toBe('One two');
    await ask(page, 'fail');
    await lastAnswer(page).getByRole('alert').waitFor();
    expect(await prose(page).innerText()).toBe('Half');
  });

  test('says that the conversation is longer than the context', async () => {
    const { url } = await serve({ ...SCRIPT, contextLength: 64 });
    const page = await open(url);
    await ask(page, 'long '.repeat(40));
    const alert = lastAnswer(page).getByRole('alert');
    await alert.getByText('longer than the model’s context').waitFor();
    expect(await alert.innerText()).toContain('64 tokens');
    await ask(page, 'go');
    await answers(page).nth(1).waitFor();
    await shows(page, SENTENCE);
  });

  test('sends what was set, edits the last question, begins anew, and keeps the conversation over a reload', async () => {
    const { url } = await serve(SCRIPT);
    const page = await open(url);
    const seen = watch(page);
    await choose(page, { Connection: 'sse', 'System prompt': 'Be brief.', Temperature: '0.5', 'Maximum tokens': '50' });
    await field(page).pressSequentially('two');
    await field(page).press('Shift+Enter');
    await field(page).pressSequentially('lines');
    await button(page, 'Send').click();
    await settled(page);
    await button(page, 'Edit your message').click();
    await page.locator('.edit').fill('edited');
    await page.locator('.edit').press('Enter');
    await page.locator('.bubble').getByText('edited', { exact: true }).waitFor();
    await settled(page);
    const system = { role: 'system', content: 'Be brief.' };
    expect(seen.bodies).toMatchObject([
      { temperature: 0.5, max_completion_tokens: 50, messages: [system, { role: 'user', content: 'two\nlines' }] },
      { temperature: 0.5, messages: [system, { role: 'user', content: 'edited' }] },
    ]);
    await page.reload();
    await page.locator('#model[data-state=ready]').waitFor();
    expect(await prose(page).innerText()).toBe(SENTENCE);
    const other = await open(url);
    expect(await answers(other).count()).toBe(0);
    await button(page, 'New chat').click();
    await page.getByRole('heading', { name: 'What would you like to ask?' }).waitFor();
    await page.reload();
    await page.locator('#model[data-state=ready]').waitFor();
    expect(await answers(page).count()).toBe(0);
  });

  test('says when the browser keeps no conversation', async () => {
    const { url } = await serve(SCRIPT);
    const page = await open(url);
    await page.evaluate('sessionStorage.other = "x".repeat(5_242_000)');
    await ask(page, `go ${'y'.repeat(2_000)}`);
    await shows(page, SENTENCE);
    await page.locator('#banner').getByText('a reload of the page loses it').waitFor();
  });

  test('follows the end of the answer, unless the reader has left it', async () => {
    const { gate, url } = await gated();
    const page = await open(url);
    const distance = async (): Promise<number> =>
      Number(await page.evaluate('document.documentElement.scrollHeight - innerHeight - scrollY'));
    gate.allow(1);
    await ask(page, 'scroll');
    const shown = (digit: number): Promise<void> => prose(page).getByText(String(digit)).last().waitFor();
    await shown(0);
    gate.allow(2);
    await shown(1);
    expect(await distance()).toBeLessThan(2);
    await page.evaluate('scrollTo(0, 10)');
    await button(page, 'To the end').waitFor();
    gate.allow(3);
    await shown(2);
    expect(await page.evaluate('scrollY')).toBe(10);
    await button(page, 'To the end').click();
    gate.open();
    await settled(page);
    expect(await distance()).toBeLessThan(2);
  });

  test('fits a narrow screen, and every control has a name', async () => {
    const { url } = await serve(SCRIPT);
    const page = await open(url);
    await page.setViewportSize({ width: 360, height: 640 });
    await ask(page, `wide ${'z'.repeat(300)}`);
    await settled(page);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const nameless = await page.getByRole('button', { name: /^$/ }).count();
    const unlabelled = await page.locator('input:not([id]), textarea:not([id]), select:not([id])').count();
    expect([nameless, unlabelled]).toEqual([0, 0]);
    expect(await page.evaluate('document.activeElement.id')).toBe('message');
    await page.keyboard.press('Shift+Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Regenerate');
  });

  test('is served by the command as it is installed', async () => {
    const { url } = await startServer(['--model', scriptedModel(SCRIPT)]);
    const page = await open(url);
    expect(await page.locator('#model-name').innerText()).toBe('scripted');
    await ask(page, 'go');
    await shows(page, SENTENCE);
  });
});
