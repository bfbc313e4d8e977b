/** The JSON texts of numbers within bounds, as automata over their characters. */
import { EngineError } from '../../runtime/errors.ts';
import { type Automaton, both, determinize, minimize, type Place } from './automaton.ts';
import type { CodePoints } from './code-points.ts';

/** What a schema asks of a number. */
export interface NumberBounds {
  readonly isInteger: boolean;
  readonly minimum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly exclusiveMaximum?: number | undefined;
  readonly multiples: readonly number[];
}

/** Different texts with so many significant digits are different doubles, in the same order. */
const SIGNIFICANT_DIGITS = 15;
/** Larger factors of `multipleOf`, without their powers of ten, are refused: each remainder is a state. */
const MAX_FACTOR = 500;

/** The decimal number `units` · 10^-15, exact. */
type Fixed = bigint;

const FRACTION = SIGNIFICANT_DIGITS;
const ONE: Fixed = 10n ** BigInt(FRACTION);
/** Beyond it the engine writes no numbers that have bounds. */
const LARGEST: Fixed = BigInt(Number.MAX_SAFE_INTEGER) * ONE;

/** A bound in fixed point, cut off after the 15th decimal: `isCut` when digits were lost. */
const toFixed = (value: number): { units: Fixed; isCut: boolean } => {
  const [, sign = '', whole = '0', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  const shift = Number(exponent) - fraction.length + FRACTION;
  const digits = BigInt(whole + fraction);
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  const units = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / divisor;
  return { units: sign ? -units : units, isCut: shift < 0 && units * divisor !== digits };
};

/** The least and the greatest value allowed, inclusive unless `isOpen`. */
interface Limit {
  readonly units: Fixed;
  readonly isOpen: boolean;
}

const largest = (limits: readonly Limit[]): Limit =>
  limits.reduce((a, b) => (b.units > a.units || (b.units === a.units && b.isOpen) ? b : a));

const negate = ({ units, isOpen }: Limit): Limit => ({ units: -units, isOpen });

/** A lower limit from a bound. A bound with more digits than are kept moves inwards. */
const lowerLimit = (bound: number, isOpen: boolean): Limit => {
  const { units, isCut } = toFixed(bound);
  // Cutting moved a negative bound up already.
  if (isCut) return { units: bound > 0 ? units + 1n : units, isOpen: false };
  return { units, isOpen };
};

const lowerLimits = (minimum: number | undefined, exclusive: number | undefined): Limit[] => [
  { units: -LARGEST, isOpen: false },
  ...(minimum === undefined ? [] : [lowerLimit(minimum, false)]),
  ...(exclusive === undefined ? [] : [lowerLimit(exclusive, true)]),
];

const opposite = (value: number | undefined): number | undefined => (value === undefined ? undefined : -value);

/** Whether a number is a multiple of another, in decimal arithmetic. */
export const isMultiple = (value: number, divisor: number): boolean => {
  const units = toFixed(divisor).units;
  return units !== 0n && toFixed(value).units % units === 0n;
};

/** An automaton's places while it is built. */
class Digits {
  readonly places: Place[] = [];
  readonly #named = new Map<string, number>();

  add(): number {
    return this.places.push({ edges: [], free: [], atStart: [], atEnd: [] }) - 1;
  }

  /** The place of a name, and whether it is new. */
  named(name: string): readonly [number, boolean] {
    const known = this.#named.get(name);
    if (known !== undefined) return [known, false];
    const place = this.add();
    this.#named.set(name, place);
    return [place, true];
  }

  edge(from: number, character: string, to: number): void {
    const code = character.charCodeAt(0);
    (this.places[from] as Place).edges.push({ on: [[code, code]], to });
  }

  free(from: number, to: number): void {
    (this.places[from] as Place).free.push(to);
  }
}

/** Digits of the magnitude's limits: as many before the point as the number has, 15 behind it. */
interface Span {
  readonly wholeDigits: number;
  readonly low: string;
  readonly high: string;
  readonly isLowOpen: boolean;
  readonly isHighOpen: boolean;
  readonly maxFraction: number;
}

/** Adds the numbers with so many digits before the point. */
const addSpan = (digits: Digits, span: Span, from: number, last: number): void => {
  const { wholeDigits, low, high } = span;
  const visit = (position: number, isLow: boolean, isHigh: boolean): number => {
    const [place, isNew] = digits.named(
      `${wholeDigits} ${position} ${isLow ? `${low}${span.isLowOpen}` : ''} ${isHigh ? `${high}${span.isHighOpen}` : ''}`,
    );
    if (!isNew) return place;
    if (position >= wholeDigits && mayEnd(span, position, isLow, isHigh)) digits.free(place, last);
    if (position === wholeDigits + span.maxFraction) return place;
    let behind = place;
    if (position === wholeDigits) {
      behind = digits.add();
      digits.edge(place, '.', behind);
    }
    const first = position === 0 && wholeDigits > 1 ? 1 : 0;
    for (let digit = first; digit <= 9; digit++) {
      const lowDigit = isLow ? Number(low[position]) : 0;
      const highDigit = isHigh ? Number(high[position]) : 9;
      if (digit < lowDigit || digit > highDigit) continue;
      digits.edge(
        behind,
        String(digit),
        visit(position + 1, isLow && digit === lowDigit, isHigh && digit === highDigit),
      );
    }
    return place;
  };
  digits.free(from, visit(0, true, true));
};

const mayEnd = (span: Span, position: number, isLow: boolean, isHigh: boolean): boolean => {
  const rest = (text: string) => /[1-9]/.test(text.slice(position));
  const reachesLow = !isLow || (!rest(span.low) && !span.isLowOpen);
  const staysBelowHigh = !isHigh || rest(span.high) || !span.isHighOpen;
  return reachesLow && staysBelowHigh;
};

/** Adds the magnitudes between two limits, neither negative. */
const addMagnitudes = (
  digits: Digits,
  low: Limit,
  high: Limit,
  isInteger: boolean,
  from: number,
  last: number,
): void => {
  if (low.units > high.units) return;
  const numDigits = (units: Fixed) => String(units / ONE).length;
  for (let wholeDigits = numDigits(low.units); wholeDigits <= numDigits(high.units); wholeDigits++) {
    const isShortest = wholeDigits === numDigits(low.units);
    const isLongest = wholeDigits === numDigits(high.units);
    const write = (units: Fixed) => String(units).padStart(wholeDigits + FRACTION, '0');
    const smallest = wholeDigits === 1 ? 0n : 10n ** BigInt(wholeDigits - 1) * ONE;
    addSpan(
      digits,
      {
        wholeDigits,
        low: write(isShortest ? low.units : smallest),
        high: write(isLongest ? high.units : 10n ** BigInt(wholeDigits) * ONE - 1n),
        isLowOpen: isShortest && low.isOpen,
        isHighOpen: isLongest && high.isOpen,
        maxFraction: isInteger ? 0 : Math.max(0, SIGNIFICANT_DIGITS - wholeDigits),
      },
      from,
      last,
    );
  }
};

const finish = (digits: Digits, first: number, last: number): Automaton =>
  minimize(determinize(digits.places, first, last));

/** Texts of the numbers between the bounds, without exponents. */
const between = (bounds: NumberBounds): Automaton => {
  const low = largest(lowerLimits(bounds.minimum, bounds.exclusiveMinimum));
  const high = negate(largest(lowerLimits(opposite(bounds.maximum), opposite(bounds.exclusiveMaximum))));
  const digits = new Digits();
  const [first, minus, last] = [digits.add(), digits.add(), digits.add()];
  digits.edge(first, '-', minus);
  const zero: Limit = { units: 0n, isOpen: false };
  const nothing: Limit = { units: 0n, isOpen: true };
  if (high.units >= 0n) addMagnitudes(digits, largest([low, zero]), high, bounds.isInteger, first, last);
  const below = negate(high);
  if (low.units < 0n) addMagnitudes(digits, largest([below, nothing]), negate(low), bounds.isInteger, minus, last);
  return finish(digits, first, last);
};

const DIGIT_CODES = Array.from({ length: 10 }, (_, digit) => ({ digit, code: 48 + digit }));

/**
 * Texts of the multiples of a number.
 * @throws EngineError invalid_request for a divisor with too many states
 */
const multiplesOf = (divisor: number): Automaton => {
  const { units, isCut } = toFixed(divisor);
  let factor = units;
  let decimals = FRACTION;
  for (; decimals > 0 && factor % 10n === 0n; decimals--) factor /= 10n;
  if (isCut || units <= 0n || factor > BigInt(MAX_FACTOR)) {
    throw new EngineError(
      'invalid_request',
      `multipleOf ${divisor} is not supported: use a power of ten, a whole number up to ${MAX_FACTOR}, or one of those with its point moved`,
    );
  }
  const modulus = Number(factor);
  const digits = new Digits();
  const first = digits.add();
  const last = digits.add();
  const visit = (remainder: number, seen: number): number => {
    const [place, isNew] = digits.named(`${remainder}:${seen}`);
    if (!isNew) return place;
    const padding = decimals - Math.max(0, seen);
    if (Number((BigInt(remainder) * 10n ** BigInt(padding)) % factor) === 0) digits.free(place, last);
    if (seen === decimals) return place;
    if (seen < 0 && decimals > 0) digits.edge(place, '.', visit(remainder, 0));
    for (const { digit, code } of DIGIT_CODES) {
      const to = visit((remainder * 10 + digit) % modulus, seen < 0 ? seen : seen + 1);
      (digits.places[place] as Place).edges.push({ on: [[code, code]] as CodePoints, to });
    }
    return place;
  };
  const start = visit(0, -1);
  digits.free(first, start);
  digits.edge(first, '-', start);
  return finish(digits, first, last);
};

/**
 * Texts of the numbers that satisfy the bounds: at most 15 significant digits (integers: up to 2^53 - 1), no exponents.
 * @throws EngineError invalid_request for a `multipleOf` with too many states
 */
export const numberAutomaton = (bounds: NumberBounds): Automaton =>
  bounds.multiples.reduce((texts, divisor) => both(texts, multiplesOf(divisor)), between(bounds));
