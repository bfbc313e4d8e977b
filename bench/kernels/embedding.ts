/** Embedding gather of a prompt chunk. */
import { bindEmbedding } from '../../src/kernels/embedding.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import { embedding, nmse } from '../../src/kernels/reference.ts';
import { createTensor, uploadTensor } from '../../src/kernels/tensor.ts';
import { createWeightMatrix, destroyWeightMatrix, rowBytes, uploadRows } from '../../src/kernels/weight-matrix.ts';
import { randomRows, seededRandom } from '../../test/support/random-weights.ts';
import { type KernelCases, runBench } from './bench.ts';

const VOCABULARY_SIZE = 2048;
const NUM_TOKENS = 128;

const cases: KernelCases = async function* embeddingCases(device, accepts) {
  for (const format of QUANT_FORMATS) {
    for (const columns of [768, 4096]) {
      const name = `embedding ${format.name} ${NUM_TOKENS} × ${columns}`;
      if (!accepts(name)) continue;
      const random = seededRandom(columns);
      const bytes = randomRows(format, VOCABULARY_SIZE, columns, random);
      const values = new Float32Array(VOCABULARY_SIZE * columns);
      format.dequantize(bytes, values);
      const ids = Uint32Array.from({ length: NUM_TOKENS }, () => Math.floor(random() * VOCABULARY_SIZE));
      const weight = await createWeightMatrix(device, format, VOCABULARY_SIZE, columns, name);
      await uploadRows(device, weight, 0, bytes);
      const tokenIds = await uploadTensor(device, 'u32', [NUM_TOKENS], ids, 'token ids');
      const y = await createTensor(device, 'f32', [NUM_TOKENS, columns], 'y');
      const record = await bindEmbedding(device, { weight, tokenIds, y });
      yield {
        name,
        bytes: NUM_TOKENS * (rowBytes(format, columns) + 4 * columns),
        flops: NUM_TOKENS * columns,
        record: (pass) => record(pass, NUM_TOKENS),
        maxError: 1e-12,
        error: async () =>
          nmse(
            new Float32Array(await device.read(y.buffer, 0, 4 * NUM_TOKENS * columns)),
            embedding(values, ids, VOCABULARY_SIZE, columns),
          ),
        close() {
          destroyWeightMatrix(device, weight);
          device.destroyBuffer(tokenIds.buffer);
          device.destroyBuffer(y.buffer);
        },
      };
    }
  }
};

await runBench(cases);
