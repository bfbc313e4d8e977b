/** Writes measured figures to bench/RESULTS.md: each with the machine, the command and the date. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One measurement: what was measured under which conditions, and its figures with units. */
export interface Result {
  readonly what: string;
  readonly figures: string;
}

const RESULTS_PATH = fileURLToPath(new URL('RESULTS.md', import.meta.url));
const HEADER = `# Results

Each row was printed by the command beside it and written here by \`bench/report.ts\` (\`--record\`). Figures of one row were
measured in one run; compare figures of different rows only where machine and date are the same.
`;
const COLUMNS = '| Date | What | Figures | Command | Commit | Machine |\n|---|---|---|---|---|---|\n';

/** How busy the machine was before this script began: what shares the processor slows a software adapter. */
const loadBefore = loadavg()[0] ?? 0;

/** Processor, cores, memory, system, Node, adapter and load, in one line. */
export const describeMachine = (adapter: string): string => {
  const { model = 'unknown processor' } = cpus()[0] ?? {};
  const memoryGib = Math.round(totalmem() / 1024 ** 3);
  return `${model.trim()}, ${cpus().length} cores, ${memoryGib} GiB; ${type()} ${release()}; Node ${process.versions.node}; ${adapter}; load ${loadBefore.toFixed(1)} before`;
};

/** The commit measured, marked when the tree had changes. */
const commit = (): string => {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const hash = git('rev-parse', '--short', 'HEAD');
  return git('status', '--porcelain', 'src', 'shaders') === '' ? hash : `${hash} + changes`;
};

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Appends rows to the section's table, newest last; makes file and section where they are missing. */
export const recordResults = (section: string, results: readonly Result[], adapter: string, command: string): void => {
  const date = new Date().toISOString().slice(0, 10);
  const rows = results
    .map(({ what, figures }) => [date, what, figures, `\`${command}\``, commit(), describeMachine(adapter)].map(cell))
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('');
  const text = existsSync(RESULTS_PATH) ? readFileSync(RESULTS_PATH, 'utf8') : HEADER;
  const heading = `\n## ${section}\n`;
  const start = text.indexOf(heading);
  if (start < 0) {
    writeFileSync(RESULTS_PATH, `${text}${heading}\n${COLUMNS}${rows}`);
    return;
  }
  const nextHeading = text.indexOf('\n## ', start + heading.length);
  const end = nextHeading < 0 ? text.length : nextHeading;
  writeFileSync(RESULTS_PATH, `${text.slice(0, end).trimEnd()}\n${rows}${text.slice(end)}`);
};
