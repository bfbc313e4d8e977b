/** Grammars of schemas made at random: their sentences are valid by Ajv's judgement, and what Ajv finds valid are sentences. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect, test } from 'vitest';
import { seededNumbers } from '../../../bench/seeded-numbers.ts';
import { EngineError } from '../../../src/runtime/errors.ts';
import type { AnswerFormat } from '../../../src/workers/grammar/answer-format.ts';
import { schemaGrammar } from '../../../src/workers/grammar/json-schema.ts';
import { type Schema, SchemaMaker, ValueMaker } from '../../support/random-schemas.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

/** More by hand: SCHEMA_SEEDS=5000 SCHEMA_FIRST=1000. */
const numSeeds = Number(process.env.SCHEMA_SEEDS ?? 60);
const firstSeed = Number(process.env.SCHEMA_FIRST ?? 1);
const NUM_SENTENCES = 2;
const NUM_VALUES = 6;

const ajv = new Ajv2020({ strict: false, validateFormats: true, multipleOfPrecision: 9, addUsedSchema: false });
addFormats.default(ajv);

/** The grammar alone, and with what is checked beside it; undefined: the schema is refused. */
const compile = async (schema: Schema): Promise<TestGrammar[] | undefined> => {
  try {
    const alone = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
    return [alone, await TestGrammar.compileFormat({ type: 'json_schema', json_schema: schema, path: 'schema' })];
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe('invalid_request');
    expect(error.message).toMatch(/^schema: the JSON Schema at #\S* (?:is satisfied by no finite value|\S+ )/);
    return undefined;
  }
};

/** Ajv follows a schema that is one of its own alternatives for ever, and values of a schema may have no end by chance. */
const isEndless = (error: unknown): boolean =>
  error instanceof RangeError && /SchemaEnv|node_modules.ajv|random-schemas/.test(error.stack ?? '');

/** The schema among so many that those of objects are compiled when an answer gets there: behind `<0>`. */
const amongMany = (schema: Schema): AnswerFormat => ({
  type: 'or',
  elements: Array.from({ length: 10 }, (_, i) => ({
    type: 'tag',
    begin: `<${i}>`,
    content: { type: 'json_schema', json_schema: i === 0 ? schema : { type: 'object', required: [`${i}`] } },
    end: '',
  })),
});

const counts = { compiled: 0, refused: 0, sentences: 0, accepted: 0, rejected: 0 };

const check = async (seed: number): Promise<void> => {
  const random = seededNumbers(seed);
  const schema = new SchemaMaker(random).document();
  const grammars = await compile(schema);
  if (grammars === undefined) {
    counts.refused++;
    return;
  }
  counts.compiled++;
  const validate = ajv.compile(schema);
  const where = `seed ${seed}, ${JSON.stringify(schema)}`;
  for (const [i, grammar] of grammars.entries()) {
    for (let n = 0; n < NUM_SENTENCES; n++) {
      const sentence = await grammar.sentence(random, 200);
      if (sentence === undefined) continue;
      counts.sentences++;
      const isValid = validate(JSON.parse(sentence));
      expect(isValid, `${where}, grammar ${i}: ${sentence}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    }
  }
  const many = await TestGrammar.compileFormat(amongMany(schema));
  const values = new ValueMaker(random, schema);
  for (let n = 0; n < NUM_VALUES; n++) {
    const value = values.value();
    const isValid = validate(value);
    counts[isValid ? 'accepted' : 'rejected']++;
    const text = JSON.stringify(value);
    for (const [i, grammar] of grammars.entries()) {
      expect(await grammar.accepts(text), `${where}, grammar ${i}: ${text}`).toBe(isValid);
    }
    expect(await many.accepts(`<0>${text}`), `${where}, among many: ${text}`).toBe(isValid);
  }
  for (const grammar of [...grammars, many]) grammar.dispose();
};

test('an enum of values that begin alike has these and no others', async () => {
  // What xgrammar makes of such alternatives by itself lets others through.
  const random = seededNumbers(9);
  const word = (): string =>
    Array.from({ length: 1 + Math.floor(random() * 6) }, () => (random() < 0.8 ? 'a' : 'b')).join('');
  for (let i = 0; i < 20; i++) {
    const words = [...new Set(Array.from({ length: 2 + Math.floor(random() * 3) }, word))];
    const schema = { anyOf: [{ enum: words.slice(0, 2) }, { enum: [...words.slice(2), '1'] }] };
    const grammar = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
    for (let n = 0; n < 8; n++) expect([...words, '1']).toContain(JSON.parse((await grammar.sentence(random)) ?? ''));
    const others = Array.from({ length: 30 }, word).filter((text) => !words.includes(text));
    for (const other of others) expect(await grammar.accepts(JSON.stringify(other)), other).toBe(false);
    grammar.dispose();
  }
});

test(`${numSeeds} schemas are kept to the letter, or refused by name`, async () => {
  const failures: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + numSeeds && failures.length < 5; seed++) {
    await check(seed).catch((error: unknown) => {
      if (!isEndless(error)) failures.push(`${seed}: ${error instanceof RangeError ? error.stack : error}`);
    });
  }
  console.log(`random schemas: ${JSON.stringify(counts)}`);
  expect(failures).toEqual([]);
  expect(counts.compiled).toBeGreaterThan(numSeeds / 2);
  expect(counts.sentences).toBeGreaterThan(counts.compiled);
  expect(counts.accepted).toBeGreaterThan(counts.compiled);
}, 3_600_000);
