/** Numbers as people read them. */

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
const COUNT_UNITS = ['', 'thousand', 'million', 'billion', 'trillion'];

/** Powers of 1000, three digits: `2.64 GB`. */
export const formatBytes = (numBytes: number): string => scaled(numBytes, BYTE_UNITS);

/** `1.24 billion`. */
export const formatCount = (count: number): string => scaled(count, COUNT_UNITS).trim();

const scaled = (value: number, units: readonly string[]): string => {
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1);
  const amount = value / 1000 ** power;
  const digits = power === 0 || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${amount.toFixed(digits)} ${units[power]}`;
};

/** `45 s`, `3 min`, `2 h 5 min`. */
export const formatDuration = (seconds: number): string => {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};
