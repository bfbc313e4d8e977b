/** The values of `format` that are enforced, as regular expressions, and those that are not texts' formats. */

const MONTH_AND_DAY =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const LEAP_YEAR = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE = `(?:\\d{4}-${MONTH_AND_DAY}|${LEAP_YEAR}-02-29)`;
const HOUR_AND_MINUTE = '(?:[01]\\d|2[0-3]):[0-5]\\d';
const TIME = `${HOUR_AND_MINUTE}:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${HOUR_AND_MINUTE})`;
const AMOUNT = '\\d{1,9}';
const TIME_SPAN = `T(?:${AMOUNT}H(?:${AMOUNT}M(?:${AMOUNT}S)?)?|${AMOUNT}M(?:${AMOUNT}S)?|${AMOUNT}S)`;
const DATE_SPAN = `(?:${AMOUNT}Y(?:${AMOUNT}M(?:${AMOUNT}D)?)?|${AMOUNT}M(?:${AMOUNT}D)?|${AMOUNT}D)`;
/** At most 30 characters, so that eight of them stay within a host name's 253. */
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,28}[A-Za-z0-9])?';
const ATOM = '[A-Za-z0-9_+-]';
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const HEX = '[0-9A-Fa-f]';
const GROUP = `${HEX}{1,4}`;
const IPV6 = [
  `(?:${GROUP}:){7}${GROUP}`,
  `(?:${GROUP}:){1,7}:`,
  ...Array.from({ length: 6 }, (_, i) => `(?:${GROUP}:){1,${6 - i}}(?::${GROUP}){1,${i + 1}}`),
  `:(?::${GROUP}){1,7}`,
  '::',
].join('|');
const URI_CHARACTER = `(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%${HEX}{2})`;
const URI_PATH = `(?:/${URI_CHARACTER}*)*`;
const URI = `[A-Za-z][A-Za-z0-9+.-]*:(?://[A-Za-z0-9.-]+(?::\\d{1,5})?${URI_PATH}|${URI_CHARACTER}+${URI_PATH})(?:\\?(?:${URI_CHARACTER}|[/?])*)?(?:#(?:${URI_CHARACTER}|[/?])*)?`;

/**
 * Regular expressions of texts, from end to end. A format that knows longer ways of writing has its usual ones.
 * Source: RFC 3339 (dates, durations), RFC 5321 (mail), RFC 1123 (hosts), RFC 4291 (IPv6), RFC 4122, RFC 3986, RFC 6901.
 */
export const TEXT_FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: `P(?:${DATE_SPAN}(?:${TIME_SPAN})?|${TIME_SPAN}|${AMOUNT}W)`,
  email: `${ATOM}{1,32}(?:\\.${ATOM}{1,31})?@(?:${LABEL}\\.){1,4}[A-Za-z]{2,20}`,
  hostname: `${LABEL}(?:\\.${LABEL}){0,7}`,
  ipv4: `(?:${BYTE}\\.){3}${BYTE}`,
  ipv6: IPV6,
  uuid: `${HEX}{8}-(?:${HEX}{4}-){3}${HEX}{12}`,
  uri: URI,
  'json-pointer': '(?:/(?:[^~/]|~[01])*)*',
};

/** Whole numbers' formats and their bounds. */
export const INTEGER_FORMATS: Readonly<Record<string, readonly [number, number] | undefined>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
};

/** Formats that ask nothing of JSON's texts: of numbers, how they are stored; of a password, how it is shown. */
export const SILENT_FORMATS: ReadonlySet<string> = new Set(['float', 'double', 'password']);
