/** Which names from outside may become paths below a folder of ours. */

const MAX_PATH_LENGTH = 1024;

/** A relative path with forward slashes that stays below its folder on every system. */
export const isSafePath = (path: string): boolean =>
  path.length <= MAX_PATH_LENGTH &&
  !/[\\:*?"<>|]|\p{Cc}/u.test(path) &&
  path.split('/').every((segment) => segment !== '' && !/^\.+$/.test(segment) && !/[. ]$/.test(segment));
