// Set-up's voice: everything goes to stderr, and what takes longer than a second shows that it is alive.
import { spawn } from 'node:child_process';

const SPINNER = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];
const CLEAR_LINE = '\r\x1b[K';
const QUIET_MS = 1_000;
const REMINDER_MS = 15_000;

/** A condition of the machine that the user can mend; its message says how. */
export class SetupError extends Error {}

/** @param {string} text */
export const say = (text) => {
  process.stderr.write(`firstlight: ${text}\n`);
};

/**
 * Shows `label` and the seconds gone while `work` runs; nothing when it takes less than a second.
 * @template T
 * @param {string} label
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export const withProgress = async (label, work) => {
  const started = Date.now();
  const isTerminal = process.stderr.isTTY;
  const seconds = () => Math.round((Date.now() - started) / 1_000);
  let spoken = 0;
  let hasEnded = false;
  const timer = setInterval(() => {
    const elapsed = Date.now() - started;
    if (elapsed < QUIET_MS) return;
    if (isTerminal) {
      const frame = SPINNER[Math.floor(elapsed / 100) % SPINNER.length];
      process.stderr.write(`${CLEAR_LINE}${frame} ${label} ${seconds()} s`);
      spoken = elapsed;
    } else if (spoken === 0 || elapsed - spoken >= REMINDER_MS) {
      say(spoken === 0 ? `${label} …` : `${label} … ${seconds()} s`);
      spoken = elapsed;
    }
  }, 100);
  try {
    const result = await work();
    hasEnded = true;
    return result;
  } finally {
    clearInterval(timer);
    if (isTerminal && spoken > 0) process.stderr.write(CLEAR_LINE);
    if (hasEnded && spoken > 0) say(`${label}: ${seconds()} s`);
  }
};

/**
 * Runs a program to its end without a shell, its output collected.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, shell?: boolean, timeout?: number }} [options] timeout: ms
 * @returns {Promise<{ code: number, output: string, stdout: string }>} code 127: it could not be started; 128: killed
 */
export const run = (command, args, options = {}) =>
  new Promise((resolve) => {
    let output = '';
    let stdout = '';
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      output += text;
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      output += text;
    });
    child.on('error', (error) => resolve({ code: 127, output: `${output}${error.message}`, stdout }));
    child.on('close', (code, signal) => {
      resolve({ code: code ?? 128, output: signal ? `${output}killed by ${signal}` : output, stdout });
    });
  });

/** @param {string} output @param {number} [numLines] @returns {string} */
export const lastLines = (output, numLines = 30) => output.trimEnd().split('\n').slice(-numLines).join('\n');
