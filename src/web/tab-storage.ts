/** What outlives a reload of this tab, and ends with the tab. */

export type StoredName = 'key' | 'settings' | 'conversation';

const PREFIX = 'firstlight.';

/** Undefined for what was never kept, or cannot be read. */
export const readStored = (name: StoredName): unknown => {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name) ?? 'null') ?? undefined;
  } catch {
    return undefined; // Forbidden by the browser, or written by something else: as if nothing had been kept.
  }
};

/** Undefined erases. False: the browser does not allow it, or has no room for it. */
export const writeStored = (name: StoredName, value: unknown): boolean => {
  try {
    if (value === undefined) sessionStorage.removeItem(PREFIX + name);
    else sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
};
