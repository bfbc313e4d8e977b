/** The rules of coordination without a server: who speaks, what an agent sees, how votes are read and counted. */
import { describe, expect, test } from 'vitest';
import { AgentView } from '../../src/server/coordination/agent-view.ts';
import { audienceOf, positionAfter, speakerOf, TOPOLOGIES } from '../../src/server/coordination/topology.ts';
import { type DecisionMode, readBallot, tallyOf } from '../../src/server/coordination/vote.ts';

const agentIds = ['a', 'b', 'c'];

describe('topologies', () => {
  test.each(TOPOLOGIES)('%s lets all agents speak once in a round of its own making', (topology) => {
    const speakers: string[] = [];
    let position = 0;
    for (let turn = 0; turn < agentIds.length; turn++) {
      const speaker = speakerOf(topology, { agentIds, position });
      speakers.push(speaker);
      position = positionAfter(topology, { agentIds, position }, speaker);
    }
    expect(speakers).toEqual(agentIds);
    expect(position).toBe(0);
  });

  test.each(['round_robin', 'broadcast'] as const)('%s refuses an agent whose turn it is not', (topology) => {
    expect(() => speakerOf(topology, { agentIds, position: 1 }, 'c')).toThrow(/not the turn of 'c' but of 'b'/);
    expect(speakerOf(topology, { agentIds, position: 1 }, 'b')).toBe('b');
  });

  test.each(['turn_by_turn', 'interrupt'] as const)('%s goes on behind the agent that was named', (topology) => {
    expect(speakerOf(topology, { agentIds, position: 0 }, 'b')).toBe('b');
    expect(positionAfter(topology, { agentIds, position: 0 }, 'b')).toBe(2);
  });

  test('a whisper reaches one agent, who speaks next', () => {
    const order = { agentIds, position: 0 };
    expect(audienceOf('whisper', order, 'a')).toEqual(['b']);
    expect(audienceOf('whisper', order, 'a', 'c')).toEqual(['c']);
    expect(positionAfter('whisper', order, 'a', 'c')).toBe(2);
    expect(audienceOf('turn_by_turn', order, 'b')).toEqual(['a', 'c']);
  });
});

describe("an agent's view", () => {
  const rendered = (view: AgentView, cue?: string): string =>
    view
      .prompt(cue)
      .messages.map(({ role, content }) => `<${role}>${content as string}`)
      .join('');

  test('each prompt and its answer begin the next prompt', () => {
    const view = new AgentView('Be A.');
    let before = '';
    for (let turn = 0; turn < 5; turn++) {
      // In turn 2 nobody has said anything, in turn 3 the agent is asked something.
      if (turn !== 2) view.hear(`B: ${turn}`);
      if (turn === 4) view.hear('C: and I');
      const cue = view.cueFor(turn === 3 ? 'Vote.' : undefined);
      const prompt = rendered(view, cue);
      expect(prompt.startsWith(before)).toBe(true);
      view.record({ cue, text: `said ${turn}`, reasoning: '' });
      before = `${prompt}<assistant>said ${turn}`;
    }
    expect(rendered(view)).toBe(before);
  });

  test('roles alternate, whatever happened', () => {
    const view = new AgentView('');
    view.record({ cue: view.cueFor(), text: 'one', reasoning: 'thought' });
    view.record({ cue: view.cueFor(), text: 'two', reasoning: '' });
    view.hear('B: x');
    view.hear('C: y');
    const { messages } = view.prompt(view.cueFor());
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user']);
    expect(messages[1]?.reasoning).toBe('thought');
    expect(messages.at(-1)?.content).toBe('B: x\n\nC: y');
  });
});

describe('votes', () => {
  const options = ['Yes', 'No, never', '3'];

  test.each([
    ['Yes', 'Yes'],
    [' yes. ', 'Yes'],
    ['"No, never"', 'No, never'],
    ['**No, never.**', 'No, never'],
    ['2', 'No, never'],
    ['2. No, never', 'No, never'],
    ['1) yes', 'Yes'],
    ['3', '3'],
  ])('%j is a vote for %j', (answer, choice) => {
    expect(readBallot('a', answer, options)).toEqual({ agentId: 'a', choice, answer });
  });

  test.each(['Yes, I think', 'No', 'yes or no', '4', '0', '1. No, never', '', 'I vote 2', 'Abstain from what?'])(
    '%j is no vote',
    (answer) => {
      expect(readBallot('a', answer, options)).toEqual({ agentId: 'a', abstention: 'invalid', answer });
    },
  );

  test('an agent may abstain', () => {
    expect(readBallot('a', 'Abstain.', options)).toEqual({ agentId: 'a', abstention: 'abstained', answer: 'Abstain.' });
  });

  const tally = (
    mode: DecisionMode,
    choices: readonly (string | undefined)[],
    of: readonly string[] | undefined = ['x', 'y', 'z'],
  ) => {
    const ballots = choices.map(
      (choice, index) => [`${index}`, { agentId: `${index}`, ...(choice ? { choice } : {}) }] as const,
    );
    return tallyOf({ question: 'q', options: of, ballots: new Map(ballots) }, mode);
  };

  test('counts every option, those without votes and abstentions too', () => {
    expect(tally('none', ['x', 'y', 'x', undefined])).toEqual({
      question: 'q',
      totalVotes: 3,
      abstentions: 1,
      results: { x: 2, y: 1, z: 0 },
      winner: 'x',
      isTied: false,
    });
  });

  test('a tie has no winner, and neither has a vote without votes', () => {
    expect(tally('none', ['x', 'y'])).toMatchObject({ isTied: true });
    expect(tally('none', ['x', 'y'])).not.toHaveProperty('winner');
    expect(tally('none', [undefined, undefined])).toMatchObject({ isTied: false, totalVotes: 0, abstentions: 2 });
    expect(tally('none', [undefined])).not.toHaveProperty('winner');
  });

  test('a majority is more than half of all ballots, a consensus is all of them', () => {
    expect(tally('majority_vote', ['x', 'x', 'y', 'z'])).not.toHaveProperty('winner');
    expect(tally('majority_vote', ['x', 'x', undefined])).toHaveProperty('winner', 'x');
    expect(tally('consensus', ['x', 'x', undefined])).not.toHaveProperty('winner');
    expect(tally('consensus', ['x', 'x'])).toHaveProperty('winner', 'x');
  });

  test.each([
    ['2 > 1 > 3', ['No', 'Yes', 'Perhaps']],
    ['no > Perhaps', ['No', 'Perhaps']],
    ['3. Perhaps\n1. Yes', ['Perhaps', 'Yes']],
    ['Yes', ['Yes']],
  ])('%j ranks %j', (answer, ranking) => {
    const ballot = readBallot('a', answer, ['Yes', 'No', 'Perhaps'], 'ranked_choice');
    expect(ballot).toEqual({ agentId: 'a', choice: ranking[0], ranking, answer });
  });

  test.each(['1 > 1', '1 > 4', 'I rank 1 > 2', '>', '1, 2'])('%j ranks nothing', (answer) => {
    const ballot = readBallot('a', answer, ['Yes', 'No', 'Perhaps'], 'ranked_choice');
    expect(ballot).toEqual({ agentId: 'a', abstention: 'invalid', answer });
  });

  /** Rankings as letters: 'xyz' prefers x to y to z; '' abstains. */
  const ranked = (...rankings: readonly string[]) => {
    const ballots = rankings.map((letters, index) => {
      const [choice, ...others] = letters;
      const ballot = choice === undefined ? {} : { choice, ranking: [choice, ...others] };
      return [`${index}`, { agentId: `${index}`, ...ballot }] as const;
    });
    return tallyOf({ question: 'q', options: ['x', 'y', 'z'], ballots: new Map(ballots) }, 'ranked_choice');
  };

  test('of a ranked choice, who is last goes and hands over its votes, until one has more than half', () => {
    expect(ranked('xzy', 'xzy', 'yzx', 'yzx', 'zyx')).toEqual({
      question: 'q',
      totalVotes: 5,
      abstentions: 0,
      results: { x: 2, y: 2, z: 1 },
      rounds: [
        { x: 2, y: 2, z: 1 },
        { x: 2, y: 3 },
      ],
      winner: 'y',
      isTied: false,
    });
    expect(ranked('xy', 'xy', 'y')).toMatchObject({ winner: 'x', rounds: [{ x: 2, y: 1, z: 0 }] });
    // What a ballot does not rank it leaves to the others.
    expect(ranked('x', 'x', 'y', 'y', 'z')).toMatchObject({ isTied: true });
    expect(ranked('x', 'y', '')).not.toHaveProperty('winner');
    expect(ranked('', '')).toMatchObject({ isTied: false, totalVotes: 0, abstentions: 2 });
  });

  test('options that nobody listed are counted as they come', () => {
    expect(tally('none', ['blue', 'blue', 'constructor'], []).results).toEqual({ blue: 2, constructor: 1 });
  });
});
