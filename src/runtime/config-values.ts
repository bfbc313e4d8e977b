/** What options may be, whether a file, the environment or a flag says it: all but files write text. */
import { z } from 'zod';

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1, M: 2, G: 3, T: 4 };

export const integer = (min: number, max: number) =>
  z.union([z.number(), z.string().trim().regex(/^\d+$/).transform(Number)]).pipe(z.int().min(min).max(max));

const toBytes = (text: string): number => {
  const [, amount = '', unit = '', suffix = ''] = /^([\d.]+)\s*([KMGT]?)(iB|B|)$/i.exec(text.trim()) ?? [];
  if (unit === '') return amount === '' ? Number.NaN : Math.floor(Number(amount));
  const base = suffix.toLowerCase() === 'b' ? 1000 : 1024;
  return Math.floor(Number(amount) * base ** BYTE_UNITS[unit.toUpperCase()]!);
};

export const byteSize = (min: number) =>
  z.union([z.number(), z.string().transform(toBytes)]).pipe(z.int().min(min).max(Number.MAX_SAFE_INTEGER));

export const text = z.union([z.string(), z.number().transform(String)]).pipe(z.string().trim().min(1));

export const flag = z.union([
  z.boolean(),
  z.enum(['true', '1', 'yes', 'on']).transform(() => true),
  z.enum(['false', '0', 'no', 'off']).transform(() => false),
]);

/** A list as the environment writes it (commas between), as a flag repeats it, or as a YAML list. */
export const list = <Element extends string>(element: z.ZodType<Element, string>) =>
  z
    .union([
      z.array(z.string()),
      z.string().transform((joined) =>
        joined
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      ),
    ])
    .pipe(z.array(element));

export const isOrigin = (origin: string): boolean =>
  origin === '*' || (URL.canParse(origin) && new URL(origin).origin === origin);
