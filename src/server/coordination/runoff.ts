/** Ranked choice: the instant runoff. */
import type { Ballot, Tally } from './vote.ts';

/**
 * Every ballot counts for the first of its options that is left. An option with more than half of the ballots that still
 * name one wins; else all options with the fewest votes go, and it is counted again. Options that are left with the same
 * number of votes are a tie.
 * Source: instant-runoff voting with batch elimination of ties, as Robert's Rules of Order describe preferential voting.
 */
export const runoff = (
  options: readonly string[],
  ballots: readonly Ballot[],
): Pick<Tally, 'winner' | 'isTied' | 'rounds'> => {
  const rankings = ballots.map(({ choice, ranking = choice === undefined ? [] : [choice] }) => ranking);
  const rounds: Record<string, number>[] = [];
  let left = [...options];
  while (left.length > 0) {
    const counts = new Map(left.map((option) => [option, 0]));
    for (const ranking of rankings) {
      const choice = ranking.find((option) => counts.has(option));
      if (choice !== undefined) counts.set(choice, counts.get(choice)! + 1);
    }
    rounds.push(Object.fromEntries(counts));
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    if (total === 0) break;
    const [most, fewest] = [Math.max(...counts.values()), Math.min(...counts.values())];
    if (most > total / 2) return { winner: left.find((option) => counts.get(option) === most)!, isTied: false, rounds };
    if (most === fewest) return { isTied: true, rounds };
    left = left.filter((option) => counts.get(option)! > fewest);
  }
  return { isTied: false, rounds };
};
