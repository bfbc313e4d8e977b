/** A process that stores responses until it is killed. Says in a line each which it knows to be stored. */
import { writeSync } from 'node:fs';
import { DEFAULT_RESPONSE_STORE, ResponseStore } from '../../src/server/responses/response-store.ts';
import { recordOf } from './response-records.ts';

const [directory = '', round = '0'] = process.argv.slice(2);
const store = await ResponseStore.open({ ...DEFAULT_RESPONSE_STORE, directory }, (warning) => writeSync(2, warning));
const responses = store.of('me');
writeSync(1, 'open\n');
let previousId: string | undefined;
for (let i = 0; ; i++) {
  // Several at once, as a server has them.
  const records = Array.from({ length: 8 }, (_, n) =>
    recordOf(`resp_${round}_${i}_${n}`, { previousId, length: 4000 }),
  );
  const kept = await Promise.all(records.map((record) => responses.keep(record, true)));
  writeSync(1, records.flatMap(({ response }, n) => (kept[n] ? [`${response.id}\n`] : [])).join(''));
  previousId = records[0]?.response.id;
  if (i % 10 === 9) await responses.erase(`resp_${round}_${i - 1}_0`);
}
