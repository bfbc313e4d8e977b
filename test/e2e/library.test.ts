/** The README's library example, run as it stands there. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { scriptedModel } from '../support/firstlight.ts';

const exampleOf = (readme: string): string => /\n## Library\n[\s\S]*?```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';

const runModule = async (source: string): Promise<{ code: number | null; stdout: string; stderr: string }> => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await exited, stdout, stderr };
};

test("the README's library example has at most ten lines, answers, and ends by itself", async () => {
  const example = exampleOf(readFileSync('README.md', 'utf8'));
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(10);
  const hasModel = existsSync(EMBEDDED_MODEL_PATH);
  // Without the embedded model a script takes its place; every other line runs as printed.
  const model = hasModel ? undefined : scriptedModel({ replies: [{ tokens: ['1', ', 2', ', 3'] }] });
  const source =
    model === undefined ? example : example.replace(/model: EMBEDDED_MODEL_PATH/, `model: ${JSON.stringify(model)}`);
  const { code, stdout, stderr } = await runModule(source);
  expect(stdout, stderr).toMatch(/1, 2, 3/);
  expect(code).toBe(0);
});

test("the package's types lead to none of WebGPU's, which callers lack or have in another version", () => {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const declarations = readFileSync(path, 'utf8');
    expect(declarations.match(/\bGPU[A-Z]\w*|@webgpu/g), path).toBe(null);
    for (const [, file = ''] of declarations.matchAll(/(?:from |import\()['"](\.[^'"]+)\.ts['"]/g))
      visit(join(dirname(path), `${file}.d.ts`));
  };
  for (const entry of ['index', 'client/index']) visit(join('dist', `${entry}.d.ts`));
  expect([...seen]).toContain(join('dist', 'runtime', 'api.d.ts'));
});

test('the package has what runs and is read, and nothing else', async () => {
  const child = spawn('npm', ['pack', '--dry-run', '--json', '--silent'], {
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [packed] = JSON.parse(await text(child.stdout)) as [{ files: { path: string }[] }];
  const paths = packed.files.map(({ path }) => path);
  for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/client/index.js', 'dist/web/index.html', 'LICENSE'])
    expect(paths).toContain(file);
  expect(paths).toEqual(expect.arrayContaining(['bin/firstlight.js', 'shaders/gemv.wgsl', 'docs/api.md']));
  expect(paths.filter((path) => /^(?:src|test|bench)\/|\.map$|\/\./.test(path))).toEqual([]);
});
