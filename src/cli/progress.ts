/** Shows on stderr that something which takes longer than a second is alive. */

const QUIET_MS = 1_000;
const FRAME_MS = 100;
const REMINDER_MS = 15_000;
const FRAMES = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];
const CLEAR_LINE = '\r\x1b[K';

/**
 * Runs `work` and shows `label` and the seconds gone; nothing when it takes less than a second. `work` may change the
 * label as it goes. On a terminal the line is rewritten in place; elsewhere a new line comes every 15 seconds.
 */
export const withProgress = async <Result>(
  label: string,
  work: (setLabel: (label: string) => void) => Promise<Result>,
): Promise<Result> => {
  const started = Date.now();
  const isTerminal = process.stderr.isTTY;
  let current = label;
  let shownMs = 0;
  const show = (): void => {
    const elapsedMs = Date.now() - started;
    if (elapsedMs < QUIET_MS) return;
    const seconds = Math.round(elapsedMs / 1000);
    if (isTerminal) {
      const frame = FRAMES[Math.floor(elapsedMs / FRAME_MS) % FRAMES.length];
      process.stderr.write(`${CLEAR_LINE}${frame} ${current} ${seconds} s`);
    } else if (shownMs > 0 && elapsedMs - shownMs < REMINDER_MS) return;
    else process.stderr.write(`${current} … ${seconds} s\n`);
    shownMs = elapsedMs;
  };
  const timer = setInterval(show, FRAME_MS);
  try {
    return await work((next) => {
      current = next;
    });
  } finally {
    clearInterval(timer);
    if (isTerminal && shownMs > 0) process.stderr.write(CLEAR_LINE);
  }
};

/** A label for a load in progress: "loading model.gguf 45%". */
export const loadLabel = (name: string, { loadedBytes, totalBytes }: { loadedBytes: number; totalBytes: number }) =>
  loadedBytes < totalBytes
    ? `loading ${name} ${Math.floor((100 * loadedBytes) / totalBytes)}%`
    : `preparing kernels for ${name}`;
